package custody_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

func TestWaitingIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var signIn custody.SignIn
	for i := range 100 {
		signIn = signIn.WithTicket(custody.Ticket{Hash: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
		signIn = signIn.WithVisit(custody.Visit{State: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
	}
	if n := len(signIn.Tickets); n > 20 || signIn.Tickets[n-1].Hash != "99" {
		t.Errorf("%d tickets are kept, the last is %s", n, signIn.Tickets[n-1].Hash)
	}
	if n := len(signIn.Visits); n > 20 || signIn.Visits[n-1].State != "99" {
		t.Errorf("%d visits are kept, the last is %s", n, signIn.Visits[n-1].State)
	}

	// What has ended is remembered for a while, and then forgotten.
	later := now.Add(26 * time.Hour)
	signIn = signIn.WithTicket(custody.Ticket{Hash: "new", ExpiresAt: later.Add(time.Hour)}, later)
	signIn = signIn.WithVisit(custody.Visit{State: "new", ExpiresAt: later.Add(time.Hour)}, later)
	if len(signIn.Tickets) != 1 || len(signIn.Visits) != 1 {
		t.Errorf("%d tickets and %d visits are kept of yesterday", len(signIn.Tickets), len(signIn.Visits))
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
