package states

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestEachStateAndEventIsListedOnce, under its own name: a table of pairs that lacked one would say nothing of it.
func TestEachStateAndEventIsListedOnce(t *testing.T) {
	var states, events []string
	for _, state := range All {
		states = append(states, string(state))
	}
	for _, event := range Events {
		events = append(events, string(event))
	}
	for kind, listed := range map[string][]string{"State": states, "Event": events} {
		declared := declaredAs(t, kind)
		if !slices.Equal(listed, declared) {
			t.Errorf("declared are %v, and listed %v", declared, listed)
		}
	}
	for _, state := range states {
		if slices.Contains(events, state) {
			t.Errorf("%s is a state and an event", state)
		}
	}
}

// declaredAs are the names of the constants of a type, in their order. Each has its name as its value.
func declaredAs(t *testing.T, kind string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "states.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != kind {
			return true
		}
		name := spec.Names[0].Name
		if value, ok := spec.Values[0].(*ast.BasicLit); !ok || value.Value != strconv.Quote(name) {
			t.Errorf("%s has another name than its value", name)
		}
		names = append(names, name)
		return true
	})
	return names
}

// TestAPairIsPossibleUnlessTheTableSaysWhyNot: the table names states and events of the lists alone, each with a reason.
func TestAPairIsPossibleUnlessTheTableSaysWhyNot(t *testing.T) {
	rows := 0
	for event, states := range impossible {
		if !slices.Contains(Events, event) {
			t.Errorf("%s is no event", event)
		}
		for state, why := range states {
			if !slices.Contains(All, state) {
				t.Errorf("%s is no state", state)
			}
			if why == "" || Impossible(state, event) != why {
				t.Errorf("%s in state %s is impossible, since %q", event, state, why)
			}
			rows++
		}
	}
	count := 0
	for _, event := range Events {
		possible := false
		for _, state := range All {
			if Impossible(state, event) == "" {
				possible = true
			} else {
				count++
			}
		}
		if !possible {
			t.Errorf("%s comes to no account", event)
		}
	}
	if count != rows {
		t.Errorf("%d pairs are impossible, and the table has %d", count, rows)
	}
	for _, state := range All { // a person may sign in whatever has happened, and an answer in memory is stored
		for _, event := range []Event{Consented, PendingStored} {
			if why := Impossible(state, event); why != "" {
				t.Errorf("%s cannot come to an account in state %s: %s", event, state, why)
			}
		}
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type change = func(*facts.Facts)

// with is an account whose single-use refresh token works, and changed.
func with(changes ...change) *facts.Facts {
	f := &facts.Facts{Account: &v1alpha1.MarketplaceAccount{}, Now: noon, CallTimeout: 30 * time.Second, AttemptTimeout: 80 * time.Second}
	f.Request = facts.Request{
		Grant: v1alpha1.GrantRefreshToken, Key: "key", Application: tokensecret.Application{ClientID: "app"},
		Platform: &marketplace.Platform{DisplayName: "Allegro", TokenURL: "https://allegro.example/token", Rotating: true},
		Imported: tokensecret.Import{RefreshToken: "import"},
	}
	f.Custody.Grant = custody.Grant{RefreshToken: "RT", ClientID: "app", Imported: "import", Account: custody.Account{ID: "17"}, Tokens: &custody.Tokens{
		AccessToken: "AT", For: "key", IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(time.Hour),
	}}
	for _, change := range changes {
		change(f)
	}
	return f
}

// TestTheStateOfAnAccount, of which the first that holds counts, in the order of All.
func TestTheStateOfAnAccount(t *testing.T) {
	empty := func(f *facts.Facts) { f.Custody = custody.Custody{} }
	restored := func(f *facts.Facts) { f.Custody.Restored = &custody.Restored{} }
	sent := func(f *facts.Facts) { f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1} }
	lost := func(f *facts.Facts) {
		f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1, Lost: true}
	}
	aside := func(f *facts.Facts) { f.Custody.Aside = &custody.Grant{Account: custody.Account{ID: "5"}} }
	candidate := func(f *facts.Facts) {
		f.Request.Imported.RefreshToken = "second import"
		f.Custody.Candidate = &custody.Grant{Imported: "second import"}
	}
	refused := func(f *facts.Facts) {
		f.Custody.Refused = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, Inputs: f.Request.Inputs}
	}
	expired := func(f *facts.Facts) { f.Custody.Tokens.ExpiresAt = noon }
	unknown := func(f *facts.Facts) { f.Request.Platform = nil }
	reusable := func(f *facts.Facts) { f.Request.Platform.Rotating = false }
	for name, test := range map[string]struct {
		facts *facts.Facts
		want  State
	}{
		"nothing was obtained yet":                                 {with(empty), Empty},
		"nothing was obtained, and the Marketplace is not known":   {with(empty, unknown), Empty},
		"a backup was restored":                                    {with(restored), Restored},
		"a backup was restored of a token that is used many times": {with(restored, reusable), Held},
		"an answer is lost":                                        {with(lost), Resting},
		"an answer is lost, and a backup was restored":             {with(lost, restored), Restored},
		"a request is under way":                                   {with(sent), Sent},
		"a request is under way after a refusal":                   {with(sent, refused), Sent},
		"a request with a token that is used many times":           {with(sent, reusable), Held},
		"a renewal brought another account's tokens":               {with(aside), Misplaced},
		"a new grant waits":                                        {with(candidate), Candidate},
		"a new grant waits after a refusal":                        {with(candidate, refused), Candidate},
		"the grant was refused":                                    {with(refused), Refused},
		"the grant was refused, and its token has ended":           {with(refused, expired), Refused},
		"the access token has ended":                               {with(expired), Expired},
		"the access token counts":                                  {with(), Held},
		"it counts, and the Marketplace is not known":              {with(unknown), Held},
		"it has ended, and the Marketplace is not known":           {with(unknown, expired), Expired},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Of(test.facts); got != test.want {
				t.Errorf("the state is %s, want %s", got, test.want)
			}
		})
	}
}
