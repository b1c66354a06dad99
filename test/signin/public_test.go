package signin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// exposures are the components of config/ that lead to the portal, each with the way to read its rules. The charts have the same
// rules: see TestRoutesToThePortalAreThoseOfConfig.
var exposures = map[string]func(w *world, component, host string) []route{
	"ingress":   (*world).ingress,
	"httproute": (*world).httpRoute,
}

// internalHost is another host of this machine, as an intranet has its own.
const internalHost = "tokens.localhost"

// TestASignInThroughThePublicPathsAlone is a whole sign-in of a person with access to nothing but the public paths.
func TestASignInThroughThePublicPathsAlone(t *testing.T) {
	inBothForms(t, testASignInThroughThePublicPathsAlone)
}

func testASignInThroughThePublicPathsAlone(t *testing.T) {
	for component, routes := range rows(exposures, "ingress") {
		t.Run(component, func(t *testing.T) {
			w, _ := newWorld(t)
			w.front.only(routes(w, component, "localhost")...)
			market := w.marketplace("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			link := w.link("")
			anna, ben := w.window(), w.window()
			w.follow(anna, link, "Allegro")
			anna.LogIn(user, password)
			anna.Allow()
			anna.WantText("Signed in at Allegro")
			w.expectSignedIn(market, market.Seller())
			w.Expect(anna.Text()).NotTo(ContainSubstring("Show accounts"), "it leads where nothing is")

			ben.Open(link)
			ben.WantText("This link was already used")
			w.Expect(ben.Text()).NotTo(ContainSubstring("Show accounts"), "it leads where nothing is")
		})
	}
}

func TestNothingElseIsPublic(t *testing.T) { inBothForms(t, testNothingElseIsPublic) }

func testNothingElseIsPublic(t *testing.T) {
	for component, routes := range rows(exposures, "httproute") {
		t.Run(component, func(t *testing.T) {
			w, _ := newWorld(t)
			w.marketplace("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			token := url.Values{"token": {w.clerk("clerk", w.Namespace)}}
			visitor := w.http()
			w.Expect(w.status(visitor, http.MethodPost, "/session", token)).To(Equal(http.StatusOK))
			renew := "/accounts/" + w.Namespace + "/main/renew"
			w.Expect(w.status(visitor, http.MethodPost, renew, nil)).To(Equal(http.StatusForbidden), "of all but the form's own token it has what it needs")

			w.front.only(routes(w, component, "localhost")...)
			before := w.front.admitted()
			for _, path := range []string{"/", "/session", "/logout", renew, "/metrics", "/healthz", "/readyz", "/debug/pprof/", "/sign-in.", "/donesign-in/"} {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					w.Expect(w.status(visitor, method, path, token)).To(Equal(http.StatusNotFound), "%s %s", method, path)
				}
			}
			w.Expect(w.front.admitted()).To(Equal(before), "the portal was reached")

			// These reach it, by paths that only look public.
			for _, up := range []string{"/sign-in/..", "/callback/%2e%2e", "/done/./..", "/sign-in/a/../..", "/sign-in//.."} {
				for _, path := range []string{"/", renew, "/session"} {
					for _, method := range []string{http.MethodGet, http.MethodPost} {
						w.Expect(w.status(visitor, method, up+path, token)).To(BeNumerically(">=", http.StatusBadRequest), "%s %s", method, up+path)
					}
				}
			}
			w.Expect(w.Get("main").Annotations).To(BeEmpty())
		})
	}
}

// TestTheListAtAHostOfItsOwn has the list at an internal host. Its button leads to the public one, where the marketplace sends
// people back.
func TestTheListAtAHostOfItsOwn(t *testing.T) { inBothForms(t, testTheListAtAHostOfItsOwn) }

func testTheListAtAHostOfItsOwn(t *testing.T) {
	for component, routes := range rows(exposures, "ingress") {
		t.Run(component, func(t *testing.T) {
			w, _ := newWorld(t)
			w.front.only(append(routes(w, component, "localhost"), routes(w, component+"-internal", internalHost)...)...)
			market := w.marketplace("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			w.link("")
			anna := w.window()
			anna.Open(strings.Replace(w.front.url, "localhost", internalHost, 1))
			anna.Fill("Access token", w.clerk("clerk", w.Namespace))
			anna.Press("Show accounts")
			anna.WantText("One account needs you.")
			anna.Press("Sign in")
			w.Expect(anna.URL().String()).To(HavePrefix(w.front.url + "/sign-in/"))
			anna.Press("Continue to Allegro")
			anna.LogIn(user, password)
			anna.Allow()
			anna.WantText("Signed in at Allegro")
			w.expectSignedIn(market, market.Seller())

			anna.Open(strings.Replace(w.front.url, "localhost", internalHost, 1))
			anna.WantText("Everything is in order.")
		})
	}
}
