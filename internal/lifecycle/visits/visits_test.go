package visits_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/visits"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// browser is the one that comes back from the visit of with, and claims it.
var browser = visits.Browser{Marketplace: "allegro", State: "state", Cookie: "cookie", Claim: "ours"}

type change = func(*facts.Facts)

// with is an account that a person signs in: there is a ticket, and a visit that began with another one.
func with(changes ...change) facts.Facts {
	f := facts.Facts{Account: &v1alpha1.MarketplaceAccount{}, Now: noon, NewKey: make([]byte, 32), Visiting: true, RetryTicket: "again"}
	f.Account.UID = "uid"
	f.Account.Spec.Grant.Type = v1alpha1.GrantAuthorizationCode
	f.Request = facts.Request{
		Grant: v1alpha1.GrantAuthorizationCode, Key: "key", Application: tokensecret.Application{ClientID: "app", ClientSecret: "CS"},
		Platform: &marketplace.Platform{DisplayName: "Allegro", TokenURL: "https://allegro.example/token", TokenLifetime: 12 * time.Hour},
	}
	f.Custody.Consents = 3
	f.Custody.SignIn.Tickets = []custody.Ticket{{Hash: signin.Hash("ticket"), ExpiresAt: noon.Add(time.Hour)}}
	f.Custody.SignIn.Visits = []custody.Visit{visit("state")}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// visit is a visit under way.
func visit(state string) custody.Visit {
	return custody.Visit{
		State: signin.Hash(state), Cookie: signin.Hash("cookie"), Account: "uid", Marketplace: "allegro", Verifier: "verifier", Nonce: "nonce", ExpiresAt: noon.Add(signin.VisitLife),
	}
}

// visited changes the visit that is under way.
func visited(change func(*custody.Visit)) change {
	return func(f *facts.Facts) { change(&f.Custody.SignIn.Visits[0]) }
}

// stored is what a change stores of tickets and visits, in a line; empty where it stores nothing.
func stored(t *testing.T, before facts.Facts, change lifecycle.Change) string {
	t.Helper()
	if change.Store == nil {
		return ""
	}
	var parts []string
	for i, ticket := range change.Store.SignIn.Tickets {
		part := fmt.Sprintf("ticket %d", i+1)
		if ticket.Used {
			part += " used"
		}
		parts = append(parts, part)
	}
	for i, visit := range change.Store.SignIn.Visits {
		part := fmt.Sprintf("visit %d", i+1)
		if visit.Used {
			part += " used by " + visit.Claim
			if visit.Verifier+visit.Nonce != "" {
				t.Error("a visit that is used keeps its secrets")
			}
		}
		if visit.Consent > 0 {
			part += fmt.Sprintf(" for sign-in %d", visit.Consent)
		}
		if visit.Problem != "" {
			part = strings.TrimSpace(part + " failed as " + visit.Problem + " " + visit.Detail)
		}
		parts = append(parts, part)
	}
	if refused := change.Store.SignIn.Refused; refused != nil {
		parts = append(parts, "told: "+refused.Reason)
	}
	if len(before.Custody.SignIn.Visits) > 0 && &before.Custody.SignIn.Visits[0] == &change.Store.SignIn.Visits[0] {
		t.Error("the custody that was read is changed")
	}
	return strings.Join(parts, ", ")
}

func TestATicketBeginsOneVisit(t *testing.T) {
	ticket := func(change func(*custody.Ticket)) change {
		return func(f *facts.Facts) { change(&f.Custody.SignIn.Tickets[0]) }
	}
	for name, test := range map[string]struct {
		facts   facts.Facts
		ticket  string
		visit   string
		stores  string
		problem signin.Problem
	}{
		"a ticket that works":                     {with(), "ticket", "second", "ticket 1 used, visit 1, visit 2", ""},
		"a ticket that was never given out":       {with(), "guess", "second", "", signin.LinkInvalid},
		"no ticket":                               {with(), "", "second", "", signin.LinkInvalid},
		"a ticket that is used":                   {with(ticket(func(t *custody.Ticket) { t.Used = true })), "ticket", "second", "", signin.LinkUsed},
		"a ticket at its end":                     {with(ticket(func(t *custody.Ticket) { t.ExpiresAt = noon })), "ticket", "second", "", signin.LinkExpired},
		"a visit that was written before":         {with(ticket(func(t *custody.Ticket) { t.Used = true })), "ticket", "state", "", ""},
		"the last moment in which it may be used": {with(ticket(func(t *custody.Ticket) { t.ExpiresAt = noon.Add(1) })), "ticket", "second", "ticket 1 used, visit 1, visit 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			change, problem := visits.Begin(test.facts, test.ticket, visit(test.visit))
			if got := stored(t, test.facts, change); got != test.stores || problem != test.problem {
				t.Errorf("it stores %q with problem %q, want %q and %q", got, problem, test.stores, test.problem)
			}
		})
	}
}

func TestAVisitIsFoundByAllThatItIsBoundTo(t *testing.T) {
	kept := with().Custody
	if found := browser.Visit(kept, "uid"); found == nil || found.State != signin.Hash("state") {
		t.Errorf("its own browser finds %v", found)
	}
	for name, other := range map[string]visits.Browser{
		"another state":         {Marketplace: "allegro", State: "other", Cookie: "cookie"},
		"no state":              {Marketplace: "allegro", Cookie: "cookie"},
		"another browser":       {Marketplace: "allegro", State: "state", Cookie: "other"},
		"another marketplace's": {Marketplace: "ebay", State: "state", Cookie: "cookie"},
	} {
		if found := other.Visit(kept, "uid"); found != nil {
			t.Errorf("%s finds %v", name, found)
		}
	}
	if found := browser.Visit(kept, "another account"); found != nil {
		t.Errorf("another account of the name has %v", found)
	}
}

func TestOneCallbackClaimsAVisit(t *testing.T) {
	usedBy := func(claim string) change {
		return visited(func(v *custody.Visit) { v.Used, v.Claim, v.Verifier, v.Nonce = true, claim, "", "" })
	}
	for name, test := range map[string]struct {
		facts  facts.Facts
		stores string
		free   bool
	}{
		"nobody has come back yet":   {with(), "ticket 1, visit 1 used by ours", true},
		"this callback, once more":   {with(usedBy("ours")), "ticket 1, visit 1 used by ours", true},
		"another one was quicker":    {with(usedBy("theirs")), "", false},
		"the person seemed to leave": {with(visited(func(v *custody.Visit) { v.Problem = string(signin.ConsentDenied) })), "ticket 1, visit 1 used by ours", true},
		"the visit is gone":          {with(func(f *facts.Facts) { f.Custody.SignIn.Visits = nil }), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			change, free := visits.Claim(test.facts, browser)
			if got := stored(t, test.facts, change); got != test.stores || free != test.free {
				t.Errorf("it stores %q, free: %t, want %q, %t", got, free, test.stores, test.free)
			}
		})
	}
}

func TestAVisitBecomesASignIn(t *testing.T) {
	got := lifecycle.Consent{Issued: lifecycle.Issued{
		Account: custody.Account{ID: "17", By: "answer"},
		Tokens:  answer.Tokens{AccessToken: "AT", RefreshToken: "RT", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour), AccessTokenExpiresAt: noon.Add(time.Hour)},
	}}
	storedBefore := visited(func(v *custody.Visit) { v.Used, v.Claim, v.Verifier, v.Nonce, v.Consent = true, "ours", "", "", 3 })
	waiting := func(f *facts.Facts) { f.Custody.Candidate = &custody.Grant{Consent: 3} }
	newer := func(f *facts.Facts) { f.Custody.Version = tokensecret.CustodyVersion + 1 }
	for name, test := range map[string]struct {
		facts  facts.Facts
		stores string
		serial int64 // 0 where no tokens are stored
		free   bool
		fresh  bool
	}{
		"the first answer":                               {with(), "ticket 1 used, visit 1 used by ours for sign-in 4", 1, true, true},
		"another callback has its own answer":            {with(visited(func(v *custody.Visit) { v.Used, v.Claim = true, "theirs" })), "", 0, false, false},
		"the grant was stored, and is in use":            {with(storedBefore, func(f *facts.Facts) { f.Custody.Accepted = 3 }), "", 0, true, true},
		"the grant was stored, and waits":                {with(storedBefore, waiting), "", 0, true, true},
		"the grant was stored, and another waits":        {with(storedBefore, waiting, func(f *facts.Facts) { f.Custody.Candidate.Consent = 4 }), "ticket 1 used, visit 1 used by ours for sign-in 4", 1, true, true},
		"the visit is gone":                              {with(func(f *facts.Facts) { f.Custody.SignIn.Visits = nil }), "", 0, false, false},
		"the visit is gone of a later version":           {with(newer, func(f *facts.Facts) { f.Custody.SignIn.Visits = nil }), "ticket 1", 0, true, false},
		"the answer comes beside one of a later version": {with(newer), "ticket 1, visit 1 used by ours for sign-in 4", 0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			change, free := visits.Complete(test.facts, browser, got)
			written := test.facts.Custody
			if change.Store != nil {
				written = *change.Store
			}
			after, _, _ := change.Stored(test.facts, written)
			if got := stored(t, test.facts, change); got != test.stores || free != test.free || after.Fresh != test.fresh || written.Serial != test.serial {
				t.Errorf("it stores %q with serial %d, free: %t, fresh: %t", got, written.Serial, free, after.Fresh)
			}
		})
	}
}

func TestAVisitThatBringsNothing(t *testing.T) {
	why := facts.Failure{Reason: v1alpha1.ReasonSignInRequired, Message: "The last sign-in was not completed"}
	for name, test := range map[string]struct {
		facts   facts.Facts
		problem signin.Problem
		stores  string
		free    bool
	}{
		"the person may do better": {with(), signin.CodeRefused, "ticket 1, ticket 2, visit 1 used by ours failed as CodeRefused no, told: SignInRequired", true},
		"an admin has to mend it":  {with(), signin.ApplicationRefused, "ticket 1, visit 1 used by ours failed as ApplicationRefused no, told: SignInRequired", true},
		"another one was quicker":  {with(visited(func(v *custody.Visit) { v.Used, v.Claim = true, "theirs" })), signin.CodeRefused, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			change, free := visits.Fail(test.facts, browser, test.problem, "no", why)
			if got := stored(t, test.facts, change); got != test.stores || free != test.free {
				t.Errorf("it stores %q, free: %t, want %q, %t", got, free, test.stores, test.free)
			}
			if change.Store != nil && visits.MayTryAgain(test.problem) != (visits.TicketProblem(*change.Store, "again", noon) == "") {
				t.Error("the browser gets a ticket exactly where it may try again")
			}
		})
	}
}

func TestAVisitIsLeftAndNotUsedUp(t *testing.T) {
	left := visits.Browser{Marketplace: "allegro", Cookie: "cookie"}
	again := func(f *facts.Facts) {
		f.Custody.SignIn.Tickets = append(f.Custody.SignIn.Tickets, custody.Ticket{Hash: signin.Hash("again"), ExpiresAt: noon.Add(time.Minute)})
	}
	denied := visited(func(v *custody.Visit) { v.Problem = string(signin.ConsentDenied) })
	for name, test := range map[string]struct {
		facts  facts.Facts
		stores string
		again  bool
		found  bool // that the visit may be one that was left
	}{
		"a person declines":                          {with(), "ticket 1, ticket 2, visit 1 failed as ConsentDenied, told: SignInRequired", true, true},
		"a person declines once more":                {with(denied, again), "", true, true},
		"a person declines after the next has begun": {with(denied), "", false, true},
		"the visit has expired":                      {with(visited(func(v *custody.Visit) { v.ExpiresAt = noon })), "", false, false},
		"the browser has come back":                  {with(visited(func(v *custody.Visit) { v.Used = true })), "", false, false},
		"the visit has failed in another way":        {with(visited(func(v *custody.Visit) { v.Problem = string(signin.CodeRefused) })), "", false, false},
		"the visit of another browser":               {with(visited(func(v *custody.Visit) { v.Cookie = signin.Hash("other") })), "", false, false},
		"a visit at another marketplace":             {with(visited(func(v *custody.Visit) { v.Marketplace = "ebay" })), "", false, false},
		"a visit of a former account":                {with(visited(func(v *custody.Visit) { v.Account = "former" })), "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if found := left.LeftVisit(test.facts.Custody, "uid", noon); (found != nil) != test.found {
				t.Errorf("the visit is %v", found)
			}
			change, again := visits.Leave(test.facts, []visits.Browser{left})
			if got := stored(t, test.facts, change); got != test.stores || again != test.again {
				t.Errorf("it stores %q, may begin again: %t, want %q, %t", got, again, test.stores, test.again)
			}
		})
	}
}
