package recall_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/recall"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

var (
	morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	inputs  = custody.Inputs{Spec: "3", Marketplace: "uid/1", Application: "shop/app@7", Credentials: "main@8"}
)

// imported is an account that lives on a refresh token which the user brought, and kept is its custody.
func imported(changes ...func(*facts.Facts)) (f facts.Facts, kept custody.Custody) {
	kept = custody.Custody{Grant: custody.Grant{Imported: "brought", RefreshToken: "successor", Tokens: &custody.Tokens{AccessToken: "at"}}}
	f = facts.Facts{Custody: kept, Request: facts.Request{
		Key: "key", Platform: &marketplace.Platform{}, Inputs: inputs,
		Application: tokensecret.Application{
			ClientID: "id", ClientSecret: "s3cret", PreviousSecret: "former", RedirectURI: "https://shop.example/back", ApplicationID: "other id", Retry: "1",
			SecretExpiresAt: morning, SecretNeverExpires: true, SecretSince: morning.Add(-time.Hour),
		},
		Login:    tokensecret.Login{Username: "shop", Password: "secret"},
		Imported: tokensecret.Import{RefreshToken: "brought", GrantedAt: morning.Add(-time.Minute)},
	}}
	for _, change := range changes {
		change(&f)
	}
	return f, kept
}

// TestNoSecretIsRemembered: a process that starts knows all but the secrets and the requests to try again, which matter to a refusal alone.
func TestNoSecretIsRemembered(t *testing.T) {
	f, kept := imported(func(f *facts.Facts) { f.Request.Platform.ApplicationSecretLifetime = time.Hour })
	kept = recall.Note(f, kept)
	seen := recall.Of(kept, inputs)
	for name, diff := range map[string]string{
		"its versions": cmp.Diff(inputs, seen.Inputs),
		"its application": cmp.Diff(tokensecret.Application{
			ClientID: "id", RedirectURI: "https://shop.example/back", SecretExpiresAt: morning, SecretNeverExpires: true, SecretSince: morning.Add(-time.Hour),
		}, recall.Application(seen)),
		"its login":  cmp.Diff(tokensecret.Login{Username: "shop"}, recall.Login(seen)),
		"its import": cmp.Diff(f.Request.Imported, recall.Import(kept)),
	} {
		if diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestWhatIsNoted(t *testing.T) {
	before := custody.Seen{ClientID: "before"}
	long := strings.Repeat("x", 1025)
	for name, test := range map[string]struct {
		change func(*facts.Facts)
		want   func(*custody.Seen)
	}{
		"a request that is whole":                        {func(*facts.Facts) {}, func(*custody.Seen) {}},
		"one whose references do not hold":               {func(f *facts.Facts) { f.Request.Key = "" }, func(s *custody.Seen) { *s = before }},
		"one that was recalled":                          {func(f *facts.Facts) { f.Request.Recalled = true }, func(s *custody.Seen) { *s = before }},
		"an import that is not in use":                   {func(f *facts.Facts) { f.Request.Imported.RefreshToken = "newer" }, func(s *custody.Seen) { s.Inputs.Credentials, s.GrantedAt = "", time.Time{} }},
		"an import with a time that cannot be read":      {func(f *facts.Facts) { f.Request.Imported.Misdated = "why" }, func(s *custody.Seen) { s.Inputs.Credentials, s.GrantedAt = "", time.Time{} }},
		"an application with a time that cannot be read": {func(f *facts.Facts) { f.Request.Application.Misdated = "why" }, func(s *custody.Seen) { s.Inputs.Application = "" }},
		"a client_id that nobody has":                    {func(f *facts.Facts) { f.Request.Application.ClientID = long }, func(s *custody.Seen) { *s = custody.Seen{} }},
		"a redirect URI that nobody has":                 {func(f *facts.Facts) { f.Request.Application.RedirectURI = long }, func(s *custody.Seen) { *s = custody.Seen{} }},
		"a user name that nobody has":                    {func(f *facts.Facts) { f.Request.Login.Username = long }, func(s *custody.Seen) { *s = custody.Seen{} }},
		"one as long as somebody might have":             {func(f *facts.Facts) { f.Request.Login.Username = long[1:] }, func(s *custody.Seen) { s.Username = long[1:] }},
	} {
		t.Run(name, func(t *testing.T) {
			f, kept := imported(test.change)
			kept.Seen = before
			want := custody.Seen{
				Inputs: inputs, ClientID: "id", RedirectURI: "https://shop.example/back", SecretExpiresAt: morning, SecretNeverExpires: true, Username: "shop",
				GrantedAt: morning.Add(-time.Minute),
			}
			test.want(&want)
			if diff := cmp.Diff(want, recall.Note(f, kept).Seen); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhenNothingIsRecalled(t *testing.T) {
	for name, change := range map[string]func(*custody.Custody, *custody.Inputs){
		"the account was edited":     func(_ *custody.Custody, now *custody.Inputs) { now.Spec = "4" },
		"the Marketplace was edited": func(_ *custody.Custody, now *custody.Inputs) { now.Marketplace = "uid/2" },
		"something is open":          func(kept *custody.Custody, _ *custody.Inputs) { kept.Journal = &custody.Journal{} },
	} {
		t.Run(name, func(t *testing.T) {
			kept := recall.Note(imported())
			now := inputs
			change(&kept, &now)
			if seen := recall.Of(kept, now); seen != (custody.Seen{}) {
				t.Errorf("%+v is known", seen)
			}
		})
	}
}
