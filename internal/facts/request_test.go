package facts

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestWhichHostGetsTheCredentials: a refusal by one host says nothing of another.
func TestWhichHostGetsTheCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		platform marketplace.Platform
		want     string
	}{
		"that of the token endpoint":             {marketplace.Platform{TokenURL: "https://token.example:8443/t", Issuer: "https://issuer.example"}, "token.example:8443"},
		"the issuer's, where it tells the other": {marketplace.Platform{Issuer: "https://issuer.example/realm"}, "issuer.example"},
		"none, of what is no address":            {marketplace.Platform{TokenURL: "https://a b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&Request{Platform: &test.platform}).TokenHost(); got != test.want {
				t.Errorf("the host is %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatAGrantLivesOn(t *testing.T) {
	for grant, want := range map[v1alpha1.GrantType]struct{ refreshToken, rotates, login bool }{
		signsIn: {true, true, false}, byDevice: {true, true, false}, importing: {true, true, false}, byLogin: {false, false, true}, ownTokens: {false, false, false},
	} {
		f := working(grant)
		if got := f.Request.RenewsByRefreshToken(); got != want.refreshToken {
			t.Errorf("%s lives on a refresh token: %t", grant, got)
		}
		if got := f.Request.Rotates(); got != want.rotates {
			t.Errorf("%s spends a refresh token: %t", grant, got)
		}
		if got := f.Request.LogsIn(); got != want.login {
			t.Errorf("%s logs in: %t", grant, got)
		}
	}
	holds(t, func(f *Facts) bool { return f.Request.LogsIn() }, rows{
		"a login that was read":    {working(byLogin), true},
		"a login that was not":     {working(byLogin, func(f *Facts) { f.Request.Login.Password = "" }), false},
		"a login beside a sign-in": {working(signsIn, newPassword), false},
	})
}

// TestWhatOfAnApplicationIsRefused: of a Marketplace's own, the version of the Secret stands for the client secret, which tenants could
// otherwise guess at by their grant Secret.
func TestWhatOfAnApplicationIsRefused(t *testing.T) {
	own, shared := working(importing), working(importing, func(f *Facts) { f.Request.Shared = true })
	secret := func(f *Facts) { f.Request.Application.ClientSecret = "another" }
	version := func(f *Facts) { f.Request.Inputs.Application = "app@2" }
	for name, test := range map[string]struct {
		facts Facts
		edit  change
		same  bool
	}{
		"the account's own, another client secret":         {own, secret, false},
		"the account's own, another version":               {own, version, true},
		"the Marketplace's, another version":               {shared, version, false},
		"the Marketplace's, whose secret is not looked at": {shared, secret, true},
		"the Marketplace's, for another client":            {shared, otherApplication, false},
	} {
		before := strings.Join(test.facts.Request.ClientParts(), " ")
		if test.edit(&test.facts); (strings.Join(test.facts.Request.ClientParts(), " ") == before) != test.same {
			t.Errorf("%s: it is the same: %t", name, !test.same)
		}
	}
	login := working(byLogin)
	if got := strings.Join(login.Request.UserParts(), " "); got != "user allegro.example shop" {
		t.Errorf("a platform locks %s", got)
	}
}
