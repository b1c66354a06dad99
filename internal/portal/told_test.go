package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestWhoPressedAButtonIsTold(t *testing.T) {
	w := newWorld(t, account("main"), account("device", withGrant(v1alpha1.GrantDeviceCode)))
	clerk := w.enter(clerkToken)
	for _, path := range []string{
		"/accounts/shop/main/renew", "/accounts/shop/main/verify", "/accounts/shop/main/sign-in", "/accounts/shop/device/sign-in",
	} {
		clerk.post(path, url.Values{"form": {w.formToken(clerkToken, path)}}).expect(t, http.StatusSeeOther)
	}
	want := []string{
		"shop/main Normal ActionRequested Renew [User clerk] clerk asked for a renewal in the portal",
		"shop/main Normal ActionRequested Verify [User clerk] clerk asked for a test of the connection in the portal",
		"shop/main Normal ActionRequested SignIn [User clerk] clerk asked for a sign-in in the portal",
		"shop/device Normal ActionRequested SignIn [User clerk] clerk asked for a sign-in in the portal",
	}
	if diff := cmp.Diff(want, w.told.events); diff != "" {
		t.Error(diff)
	}
	for _, action := range []string{"renew", "verify", "sign-in"} {
		if !strings.Contains(w.log.text(), `"Action requested" "namespace"="shop" "name"="main" "user"="clerk" "action"="`+action+`"`) {
			t.Errorf("the log does not say who asked for %s:\n%s", action, w.log.text())
		}
	}
}

func TestNobodyIsSaidToHaveAskedForWhatWasRefused(t *testing.T) {
	w := newWorld(t, account("main"))
	path := "/accounts/shop/main/renew"
	w.enter(viewerToken).post(path, url.Values{"form": {w.formToken(viewerToken, path)}}).expect(t, http.StatusForbidden)
	w.enter(clerkToken).post(path, url.Values{"form": {"another"}}).expect(t, http.StatusForbidden)
	if len(w.told.events) > 0 || strings.Contains(w.log.text(), "Action requested") {
		t.Errorf("told is %v:\n%s", w.told.events, w.log.text())
	}
}

// TestTheNameOfAUserIsCleanedAndCut: an authenticator may let in any text.
func TestTheNameOfAUserIsCleanedAndCut(t *testing.T) {
	w := newWorld(t, account("main"))
	for name, want := range map[string]string{
		"a\nforged line":            "a?forged line",
		"\x1b[31mred\u202e":         "?[31mred?",
		"100%s":                     "100%s",
		strings.Repeat("ł", 200):    strings.Repeat("ł", 128),
		"oidc:jane@example.com":     "oidc:jane@example.com",
		"bad \xff bytes":            "bad ? bytes",
		"with \u0000 and \u2028 in": "with ? and ? in",
	} {
		w.told.events = nil
		w.cluster.users[clerkToken], w.cluster.rights[name] = name, w.cluster.rights["clerk"]
		w.clock.SetTime(w.clock.Now().Add(3600e9)) // the review of the token is forgotten
		path := "/accounts/shop/main/renew"
		w.enter(clerkToken).post(path, url.Values{"form": {w.formToken(clerkToken, path)}}).expect(t, http.StatusSeeOther)
		if diff := cmp.Diff([]string{"shop/main Normal ActionRequested Renew [User " + want + "] " + want + " asked for a renewal in the portal"}, w.told.events); diff != "" {
			t.Error(diff)
		}
	}
}

// TestTheVerbOfTheButtons: people who may operate accounts press the buttons, and so do those who may change the accounts anyway.
func TestTheVerbOfTheButtons(t *testing.T) {
	for verb, want := range map[string]int{"operate": http.StatusSeeOther, "patch": http.StatusSeeOther, "update": http.StatusForbidden, "get": http.StatusForbidden} {
		for _, where := range []string{"", " shop", " shop/main"} {
			t.Run(verb+where, func(t *testing.T) {
				w := newWorld(t, account("main"))
				w.cluster.rights["clerk"] = []string{"list", verb + where}
				clerk := w.enter(clerkToken)
				if shown := clerk.get("/").expect(t, http.StatusOK); strings.Contains(shown.text, "/accounts/shop/main/renew") != (want == http.StatusSeeOther) {
					t.Errorf("the list shows:\n%s", shown.text)
				}
				for _, action := range []string{"renew", "verify", "sign-in"} {
					path := "/accounts/shop/main/" + action
					clerk.post(path, url.Values{"form": {w.formToken(clerkToken, path)}}).expect(t, want)
				}
				for _, asked := range w.cluster.asked {
					if !strings.HasPrefix(asked, "clerk ") {
						t.Errorf("asked is about %s", asked)
					}
				}
			})
		}
	}
}
