package oauthclient

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// Leave is the leave to ask for tokens. LeaveTo alone gives it, so no request is made before its record is stored.
type Leave struct {
	facts *facts.Facts
	// entry is the record in the journal; nil where nothing is journaled.
	entry *custody.Journal
}

// LeaveTo gives leave to ask for tokens with what is known after the record of the request was stored. There is none where the record forbids the request,
// where the custody does not hold its entry of the journal, or where it is too late: this process stood still, and another may have sent the refresh token.
func LeaveTo(send lifecycle.Sending, stored *facts.Facts, now time.Time) (leave Leave, ok bool) {
	leave = Leave{facts: stored, entry: send.Entry}
	if send.Forbidden || send.Entry != nil && !isStored(*send.Entry, stored.Journal()) || leave.isLate(now, 0) {
		return Leave{}, false
	}
	return leave, true
}

// isLate tells that another process may have sent the refresh token by now, after so many client secrets were refused to this one.
func (l Leave) isLate(now time.Time, refused int) bool {
	return l.entry != nil && !now.Before(l.facts.SendBy(l.entry, refused))
}

// isStored tells whether an entry is the one in the journal.
func isStored(entry custody.Journal, journal *custody.Journal) bool {
	return journal != nil && journal.Attempts == entry.Attempts && journal.Holder == entry.Holder && journal.LastAt.Equal(entry.LastAt)
}
