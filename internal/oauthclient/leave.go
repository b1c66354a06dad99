package oauthclient

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// Leave is the leave to ask for tokens. LeaveTo alone gives it, so no request is made before its record is stored.
type Leave struct{ facts *facts.Facts }

// LeaveTo gives leave to ask for tokens with what is known after the record of the request was stored. There is none where the record forbids the request,
// where the custody does not hold its entry of the journal, or where it is too late: this process stood still, and another may have sent the refresh token.
func LeaveTo(send lifecycle.Sending, stored *facts.Facts, now time.Time) (leave Leave, ok bool) {
	if send.Forbidden || send.Entry != nil && (!isStored(*send.Entry, stored.Journal()) || !now.Before(stored.SendBy(send.Entry))) {
		return Leave{}, false
	}
	return Leave{facts: stored}, true
}

// isStored tells whether an entry is the one in the journal.
func isStored(entry custody.Journal, journal *custody.Journal) bool {
	return journal != nil && journal.Attempts == entry.Attempts && journal.Holder == entry.Holder && journal.LastAt.Equal(entry.LastAt)
}
