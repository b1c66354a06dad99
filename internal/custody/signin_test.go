package custody_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

func TestWaitingIsBounded(t *testing.T) {
	var signIn custody.SignIn
	for i := range 100 {
		signIn = signIn.WithTicket(custody.Ticket{Hash: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
		signIn = signIn.WithVisit(custody.Visit{State: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
		if want := min(i+1, 16); len(signIn.Tickets) != want || len(signIn.Visits) != want {
			t.Errorf("of %d links and people, %d tickets and %d visits are kept", i+1, len(signIn.Tickets), len(signIn.Visits))
		}
	}
	if last := signIn.Tickets[15].Hash; last != "99" {
		t.Errorf("the last ticket is %s", last)
	}
	if last := signIn.Visits[15].State; last != "99" {
		t.Errorf("the last visit is %s", last)
	}
}

// What has ended is remembered for a day, so that people are told why it does not work any more.
func TestWhatHasEndedIsRemembered(t *testing.T) {
	signIn := custody.SignIn{}.
		WithTicket(custody.Ticket{Hash: "old", ExpiresAt: now}, now).
		WithVisit(custody.Visit{State: "old", ExpiresAt: now}, now)
	for later, want := range map[time.Duration]int{0: 2, 24 * time.Hour: 2, 24*time.Hour + time.Second: 1} {
		at := now.Add(later)
		tickets := signIn.WithTicket(custody.Ticket{Hash: "new", ExpiresAt: at.Add(time.Hour)}, at).Tickets
		visits := signIn.WithVisit(custody.Visit{State: "new", ExpiresAt: at.Add(time.Hour)}, at).Visits
		if len(tickets) != want || len(visits) != want {
			t.Errorf("%s after the end of one, %d tickets and %d visits are kept", later, len(tickets), len(visits))
		}
	}
}

func TestWhichLinkIsForgotten(t *testing.T) {
	tests := map[string]struct {
		used, soon []int // of fifteen others
		want       string
	}{
		"of equal ones the first":                  {nil, nil, "0"},
		"the one that ends first":                  {nil, []int{9}, "9"},
		"one that is used":                         {[]int{7}, nil, "7"},
		"one that is used before one that ends":    {[]int{7}, []int{3, 12}, "7"},
		"of those that are used the one that ends": {[]int{2, 7, 11}, []int{5, 11}, "11"},
		"the first is used, and others end before": {[]int{0}, []int{1, 2}, "0"},
		"the last of the others":                   {[]int{15}, nil, "15"},
		"never the one that was just given out":    {[]int{16}, []int{16}, "0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var signIn custody.SignIn
			var given []string
			for i := range 17 {
				ticket := custody.Ticket{Hash: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour), Used: slices.Contains(test.used, i)}
				if slices.Contains(test.soon, i) {
					ticket.ExpiresAt = now.Add(time.Minute)
				}
				signIn = signIn.WithTicket(ticket, now)
				given = append(given, ticket.Hash)
			}
			for _, kept := range signIn.Tickets {
				given = slices.DeleteFunc(given, func(hash string) bool { return hash == kept.Hash })
			}
			if len(given) != 1 || given[0] != test.want {
				t.Errorf("%v is forgotten, want %s", given, test.want)
			}
		})
	}
}

func TestWhoIsAtTheMarketplace(t *testing.T) {
	end := now.Add(time.Minute)
	tests := map[string]struct {
		visit custody.Visit
		want  bool
	}{
		"a person who has not come back":                {custody.Visit{ExpiresAt: end}, true},
		"a person who has come back":                    {custody.Visit{ExpiresAt: end, Used: true}, false},
		"a person who declined, and came back nameless": {custody.Visit{ExpiresAt: end, Problem: "Declined"}, false},
		"a person whose time is over":                   {custody.Visit{ExpiresAt: now}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.visit.Open(now); got != test.want {
				t.Errorf("the visit is open: %t", got)
			}
		})
	}
}

func TestCodesThatThePlatformEnds(t *testing.T) {
	signIn := custody.SignIn{Device: &custody.Device{Code: "one"}}.WithEndedCode(now, "access_denied")
	if signIn.Device != nil || signIn.Ended == nil || *signIn.Ended != (custody.EndedCodes{Count: 1, At: now, Why: "access_denied"}) {
		t.Errorf("after the first one: %+v", signIn)
	}
	later := now.Add(time.Minute)
	signIn.Device = &custody.Device{Code: "two"}
	signIn = signIn.WithEndedCode(later, "expired_token")
	if signIn.Device != nil || *signIn.Ended != (custody.EndedCodes{Count: 2, At: later, Why: "expired_token"}) {
		t.Errorf("after the second one: %+v", signIn)
	}
	if signIn.WithoutDevice().Ended != nil {
		t.Error("codes before one that was used still count")
	}
}

// A browser is sent away with a visit and its link that are stored; a copy of them is changed, never what somebody else reads.
func TestCopiesOfASignIn(t *testing.T) {
	before := custody.SignIn{Tickets: []custody.Ticket{{Hash: "one"}}, Visits: []custody.Visit{{State: "one"}}}
	after := before.Clone()
	after.Tickets[0].Used, after.Visits[0].Used = true, true
	if before.Tickets[0].Used || before.Visits[0].Used {
		t.Errorf("the copy shares them: %+v", before)
	}
}

func TestACompletedSignInEndsTheOthers(t *testing.T) {
	before := custody.SignIn{
		Requested:  "now",
		Device:     &custody.Device{Code: "a device code"},
		Unattended: 3,
		Tickets:    []custody.Ticket{{Hash: "one"}, {Hash: "two"}},
		Visits:     []custody.Visit{{State: "three"}},
		Refused:    &custody.Refusal{Reason: "AccountMismatch"},
	}
	after := before.Completed()
	switch {
	case after.Requested != "", after.Device != nil, after.Unattended != 0, after.Refused != nil:
		t.Errorf("something still waits: %+v", after)
	case !after.Tickets[0].Used, !after.Tickets[1].Used:
		t.Error("a link still works")
	case len(after.Visits) != 1 || after.Visits[0].Used:
		t.Error("whoever is at the marketplace cannot come back")
	case before.Tickets[0].Used:
		t.Error("the copy shares its tickets")
	}
}
