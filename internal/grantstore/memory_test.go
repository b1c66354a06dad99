package grantstore_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
)

var issued = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// pair is a custody whose tokens are named, and were issued so many minutes later.
func pair(serial int64, token string, minutes int) custody.Custody {
	return custody.Custody{Serial: serial, Grant: custody.Grant{Tokens: &custody.Tokens{AccessToken: token, IssuedAt: issued.Add(time.Duration(minutes) * time.Minute)}}}
}

func with(c custody.Custody, changes ...func(*custody.Custody)) custody.Custody {
	for _, change := range changes {
		change(&c)
	}
	return c
}

func accepted(n int64) func(*custody.Custody) { return func(c *custody.Custody) { c.Accepted = n } }

func candidate(consent int64) func(*custody.Custody) {
	return func(c *custody.Custody) { c.Candidate = &custody.Grant{Consent: consent} }
}

func TestWhatWaitedIsStoredUnlessSomethingNewerWas(t *testing.T) {
	for name, test := range map[string]struct {
		stored, pending custody.Custody
		// want is the access token that is stored then; empty for nothing.
		want string
	}{
		"nothing was stored since":                        {pair(1, "old", 0), pair(2, "new", 9), "new"},
		"nothing was stored at all":                       {custody.Custody{}, pair(1, "new", 9), "new"},
		"another replica renewed twice":                   {pair(3, "other", 20), pair(2, "new", 9), ""},
		"another replica renewed as late":                 {pair(2, "other", 9), pair(2, "new", 9), ""},
		"another replica renewed later":                   {pair(2, "other", 10), pair(2, "new", 9), ""},
		"another replica renewed earlier":                 {pair(2, "other", 8), pair(2, "new", 9), "new"},
		"its own write was done, whose answer got lost":   {pair(2, "new", 9), pair(2, "new", 9), "new"},
		"a sign-in was accepted meanwhile":                {with(pair(1, "old", 0), accepted(1)), pair(2, "new", 9), ""},
		"it is a sign-in that was accepted":               {pair(1, "old", 0), with(pair(2, "new", 9), accepted(1)), "new"},
		"a refusal, on top of the tokens that are stored": {pair(1, "old", 0), custody.Custody{Serial: 1, RefusedImport: &custody.Refusal{}, Grant: pair(1, "old", 0).Grant}, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, ok := (&grantstore.Pending{Custody: test.pending}).On(test.stored)
			g.Expect(ok).To(Equal(test.want != ""))
			if ok {
				g.Expect(got.Tokens.AccessToken).To(Equal(test.want))
				g.Expect(got.Serial).To(Equal(test.pending.Serial))
			} else {
				g.Expect(got).To(Equal(test.stored))
			}
		})
	}
}

// People sign in while a renewal waits to be stored.
func TestWhatVisitsStoredStays(t *testing.T) {
	g := NewWithT(t)
	stored := with(pair(1, "old", 0), func(c *custody.Custody) {
		c.Consents, c.HandledSignIn, c.SignIn.Requested = 3, "again", "again"
	})
	got, ok := (&grantstore.Pending{Custody: pair(2, "new", 9)}).On(stored)
	g.Expect(ok).To(BeTrue())
	g.Expect(got.Consents).To(BeEquivalentTo(3))
	g.Expect(got.HandledSignIn + got.SignIn.Requested).To(Equal("againagain"))

	for name, test := range map[string]struct{ stored, pending, want int64 }{
		"a sign-in that waits stays":                     {stored: 3, pending: 0, want: 3},
		"so does one that another has replaced":          {stored: 3, pending: 2, want: 3},
		"one that was dropped meanwhile does not return": {stored: -1, pending: 2, want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			stored, pending := pair(1, "old", 0), pair(2, "new", 9)
			if test.stored >= 0 {
				stored = with(stored, candidate(test.stored))
			}
			pending = with(pending, candidate(test.pending))
			got, ok := (&grantstore.Pending{Custody: pending}).On(stored)
			g.Expect(ok).To(BeTrue())
			if test.want < 0 {
				g.Expect(got.Candidate).To(BeNil())
				return
			}
			g.Expect(got.Candidate.Consent).To(Equal(test.want))
		})
	}
	t.Run("the candidate of an import that waits is the controller's", func(t *testing.T) {
		g := NewWithT(t)
		pending := with(pair(2, "new", 9), candidate(0))
		got, ok := (&grantstore.Pending{Custody: pending}).On(with(pair(1, "old", 0), candidate(0)))
		g.Expect(ok).To(BeTrue())
		g.Expect(got.Candidate).To(BeIdenticalTo(pending.Candidate))
	})
}

func TestAnEntryOfTheJournalIsWithdrawn(t *testing.T) {
	entry := func(holder string, attempts int, imported string) *custody.Journal {
		return &custody.Journal{StartedAt: issued, Holder: holder, Attempts: attempts, Imported: imported}
	}
	later := entry("me", 1, "")
	later.StartedAt = issued.Add(time.Second)
	former := entry("before", 1, "")
	for name, test := range map[string]struct {
		stored, imported, unsent *custody.Journal
		ok                       bool
	}{
		"which is on record":                      {stored: entry("me", 1, ""), unsent: entry("me", 1, ""), ok: true},
		"which is not":                            {unsent: entry("me", 1, "")},
		"where another process has begun since":   {stored: entry("other", 1, ""), unsent: entry("me", 1, "")},
		"where it was sent again since":           {stored: entry("me", 2, ""), unsent: entry("me", 1, "")},
		"where another renewal has begun since":   {stored: later, unsent: entry("me", 1, "")},
		"of an import, which has its own":         {imported: entry("me", 1, "RT"), unsent: entry("me", 1, "RT"), ok: true},
		"of an import, not of the grant in use's": {stored: entry("me", 1, ""), unsent: entry("me", 1, "RT")},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			stored := with(pair(4, "stored", 9), func(c *custody.Custody) { c.Journal, c.ImportJournal = test.stored, test.imported })
			got, ok := (&grantstore.Pending{Unsent: test.unsent, Former: former}).On(stored)
			g.Expect(ok).To(Equal(test.ok))
			g.Expect(got.Tokens).To(Equal(stored.Tokens))
			if !ok {
				g.Expect(got).To(Equal(stored))
				return
			}
			if test.imported != nil {
				g.Expect(got.ImportJournal).To(BeIdenticalTo(former))
				g.Expect(got.Journal).To(BeIdenticalTo(test.stored))
				return
			}
			g.Expect(got.Journal).To(BeIdenticalTo(former))
		})
	}
}
