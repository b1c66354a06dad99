package custody_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// now is when the tests of this package happen.
var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func TestSpentImports(t *testing.T) {
	var history []string
	for i := range 20 {
		history = append(history, fmt.Sprint(i))
	}
	tests := map[string]struct {
		spent []string
		want  []string
	}{
		"the latest stands last":                               {[]string{"1", "2"}, []string{"1", "2"}},
		"one that is known is not kept twice":                  {[]string{"1", "2", "1"}, []string{"1", "2"}},
		"no refresh token is none that is used up":             {[]string{"1", ""}, []string{"1"}},
		"sixteen are remembered":                               {history[:16], history[:16]},
		"of more than sixteen the earliest ones are forgotten": {history, history[4:]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var held custody.Custody
			for _, imported := range test.spent {
				held = held.WithSpentImport(imported)
			}
			if diff := cmp.Diff(test.want, held.SpentImports); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpentImportsAreNotShared(t *testing.T) {
	before := custody.Custody{SpentImports: slices.Grow([]string{"1"}, 8)}
	one, other := before.WithSpentImport("2"), before.WithSpentImport("3")
	if one.SpentImports[1] != "2" || other.SpentImports[1] != "3" || len(before.SpentImports) != 1 {
		t.Errorf("they hold %v, %v and %v", before.SpentImports, one.SpentImports, other.SpentImports)
	}
}

// What an older custody knows of tokens and verdicts, the later one has replaced; what the user brought and who asked stays.
func TestAnOutdatedCustody(t *testing.T) {
	before := custody.Custody{
		Serial:        3,
		Grant:         custody.Grant{RefreshToken: "rt-3", Imported: "rt-0", Tokens: &custody.Tokens{AccessToken: "at-3"}},
		Candidate:     &custody.Grant{RefreshToken: "candidate"},
		Verified:      &custody.Verification{At: now},
		Refused:       &custody.Refusal{Reason: "GrantRejected"},
		RefusedImport: &custody.Refusal{Reason: "GrantRejected"},
		NotBefore:     now,
		SpentImports:  []string{"spent"},
		HandledRenew:  "yesterday",
	}
	want := custody.Custody{
		Serial:       7,
		Grant:        custody.Grant{RefreshToken: "rt-3", Imported: "rt-0"},
		Restored:     &custody.Restored{},
		SpentImports: []string{"spent"},
		HandledRenew: "yesterday",
	}
	if diff := cmp.Diff(want, before.Outdated(7)); diff != "" {
		t.Error(diff)
	}
}

func TestARecoveredCustody(t *testing.T) {
	tests := map[string]struct {
		before custody.Custody
		want   []string // spent imports
	}{
		"the refresh token that the user had brought may be spent": {
			custody.Custody{Restored: &custody.Restored{Imported: "brought"}, Grant: custody.Grant{Imported: "another"}}, []string{"brought"},
		},
		"the one that has taken its place, brought by the user, is not": {
			custody.Custody{Restored: &custody.Restored{Imported: "brought"}, Grant: custody.Grant{Imported: "brought"}}, nil,
		},
		"none was brought": {
			custody.Custody{Restored: &custody.Restored{}, Grant: custody.Grant{Imported: "brought"}}, nil,
		},
		"nothing was restored": {
			custody.Custody{Grant: custody.Grant{Imported: "brought"}}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after := test.before.Recovered()
			if diff := cmp.Diff(test.want, after.SpentImports); diff != "" || after.Restored != nil {
				t.Errorf("%s\nrestored: %+v", diff, after.Restored)
			}
		})
	}
}

func TestWhenNothingBesideTheGrantIsOpen(t *testing.T) {
	for name, change := range map[string]func(*custody.Custody){
		"no tokens":                            func(c *custody.Custody) { c.Tokens = nil },
		"a backup was restored":                func(c *custody.Custody) { c.Restored = &custody.Restored{} },
		"a candidate waits":                    func(c *custody.Custody) { c.Candidate = &custody.Grant{} },
		"a grant was set aside":                func(c *custody.Custody) { c.Aside = &custody.Grant{} },
		"a refresh token was about to be sent": func(c *custody.Custody) { c.Journal = &custody.Journal{} },
		"an import was about to be sent":       func(c *custody.Custody) { c.ImportJournal = &custody.Journal{} },
		"a device code waits":                  func(c *custody.Custody) { c.SignIn.Device = &custody.Device{} },
		"a refusal stands":                     func(c *custody.Custody) { c.Refused = &custody.Refusal{} },
		"an import was refused":                func(c *custody.Custody) { c.RefusedImport = &custody.Refusal{} },
		"a sign-in was refused":                func(c *custody.Custody) { c.SignIn.Refused = &custody.Refusal{} },
		"a login is in doubt":                  func(c *custody.Custody) { c.Logins.Doubts = []custody.Doubt{{}} },
	} {
		kept := custody.Custody{
			Grant: custody.Grant{Tokens: &custody.Tokens{}}, Logins: custody.Logins{Worked: "digest"},
			SignIn: custody.SignIn{Tickets: []custody.Ticket{{}}, Visits: []custody.Visit{{}}},
		}
		if !kept.Settled() {
			t.Fatal("an account that works is not settled")
		}
		if change(&kept); kept.Settled() {
			t.Errorf("it is settled although %s", name)
		}
	}
}

// TestWithoutProofNothingIsSeen: a forged document could say of another application that it is the one that was read.
func TestWithoutProofNothingIsSeen(t *testing.T) {
	kept := custody.Custody{Seen: custody.Seen{ClientID: "id"}}
	if kept.Proven().Seen.ClientID != "id" || kept.Unproven().Seen != (custody.Seen{}) {
		t.Errorf("proven %+v, unproven %+v", kept.Proven().Seen, kept.Unproven().Seen)
	}
}
