package controller_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// TestAttacksOnACallback lets an attacker change what comes back to the portal. Each change is refused without asking the
// platform for tokens, or by the platform, and the honest person can still sign in.
func TestAttacksOnACallback(t *testing.T) {
	t.Parallel()
	type attack struct {
		// change returns who comes back with what, given the honest person and a second person in the middle of a sign-in.
		change func(w *world, honest *browser, back *url.URL, other *browser, otherBack *url.URL) (*browser, *url.URL)
		want   signin.Problem
		// asks tells that only the platform can tell the code from a good one.
		asks bool
	}
	with := func(back *url.URL, change func(url.Values)) *url.URL {
		changed := *back
		query := back.Query()
		change(query)
		changed.RawQuery = query.Encode()
		return &changed
	}
	for name, attack := range map[string]attack{
		"a state that nobody made": {want: signin.VisitUnknown,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Set("state", strings.Repeat("A", 43)) })
			}},
		"no state": {want: signin.VisitUnknown,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Del("state") })
			}},
		"two states": {want: signin.VisitUnknown,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, otherBack *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Add("state", otherBack.Query().Get("state")) })
			}},
		"two codes": {want: signin.CodeRefused,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, otherBack *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Add("code", otherBack.Query().Get("code")) })
			}},
		"another browser": {want: signin.VisitUnknown,
			change: func(w *world, _ *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				return w.browser(), back
			}},
		"another browser that is signing in itself": {want: signin.VisitUnknown,
			change: func(_ *world, _ *browser, back *url.URL, other *browser, _ *url.URL) (*browser, *url.URL) {
				return other, back
			}},
		"another browser with a cookie of its own under the right name": {want: signin.VisitUnknown,
			change: func(w *world, b *browser, back *url.URL, other *browser, _ *url.URL) (*browser, *url.URL) {
				thief := w.browser()
				thief.cookies[slices.Collect(maps.Keys(b.cookies))[0]] = slices.Collect(maps.Values(other.cookies))[0]
				return thief, back
			}},
		"a cookie that names another account": {want: signin.VisitUnknown,
			change: func(w *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				w.account("allegro", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) { a.Name = "victim" })
				w.settle()
				for name, value := range b.cookies {
					b.cookies[name] = strings.Replace(value, "/main/", "/victim/", 1)
				}
				return b, back
			}},
		"a cookie that is nonsense": {want: signin.VisitUnknown,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				for name := range b.cookies {
					b.cookies[name] = "../../x"
				}
				return b, back
			}},
		"the callback of another marketplace": {want: signin.VisitUnknown,
			change: func(w *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				w.marketplace("ebay")
				w.settle()
				changed := *back
				changed.Path = strings.Replace(back.Path, "-allegro", "-ebay", 1)
				return b, &changed
			}},
		"the code of another sign-in": {want: signin.CodeRefused, asks: true,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, otherBack *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Set("code", otherBack.Query().Get("code")) })
			}},
		"no code": {want: signin.CodeRefused,
			change: func(_ *world, b *browser, back *url.URL, _ *browser, _ *url.URL) (*browser, *url.URL) {
				return b, with(back, func(q url.Values) { q.Del("code") })
			}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("allegro", func(marketplace *v1alpha1.Marketplace) {
				marketplace.Spec.AuthorizationRequest.PKCE = v1alpha1.PKCES256
			})
			w.signInApplication("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			market := w.Market.Platform("allegro")
			w.start()
			honest, other := w.browser(), w.browser()
			first := w.link()
			visit, err := honest.begin(first)
			w.Expect(err).NotTo(HaveOccurred())
			back := honest.consent("allegro", visit, demomarket.Person{})
			w.Eventually(w.link).ShouldNot(Equal(first))
			otherVisit, err := other.begin(w.link())
			w.Expect(err).NotTo(HaveOccurred())
			otherBack := other.consent("allegro", otherVisit, demomarket.Person{SellerID: market.OtherSeller().ID})

			cookies := maps.Clone(honest.cookies)
			b, changed := attack.change(w, honest, back, other, otherBack)
			_, err = b.comeBack(changed)
			w.Expect(problemOf(err)).To(Equal(attack.want))
			asked := 0
			if attack.asks {
				asked = 1
			}
			w.Expect(w.calls("allegro")).To(Equal(asked))
			w.hasNoSecret("main-token")

			if attack.want == signin.VisitUnknown { // the attempt has cost the honest person nothing
				honest.cookies = cookies
				_, err = honest.comeBack(back)
				w.Expect(err).NotTo(HaveOccurred())
				w.expectReady()
				again, err := honest.comeBack(back)
				w.Expect(err).NotTo(HaveOccurred())
				w.Expect(again.ID).To(Equal(market.Seller().ID))
				w.Expect(w.calls("allegro")).To(Equal(1), "a callback was taken twice")
				return
			}
			_, err = honest.comeBack(back)
			w.Expect(problemOf(err)).To(Equal(attack.want), "a state was taken twice")
			w.Expect(w.calls("allegro")).To(Equal(asked))
			w.signedIn("allegro")
		})
	}
}

func TestAnswersOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(url.Values){
		"another":         func(q url.Values) { q.Set("iss", "https://evil.example.com") },
		"none":            func(q url.Values) { q.Del("iss") },
		"with a slash":    func(q url.Values) { q.Set("iss", q.Get("iss")+"/") },
		"the right twice": func(q url.Values) { q.Add("iss", q.Get("iss")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
			w.start()
			changed := market.Inject(demomarket.Callback(change))
			_, err := w.browser().signIn("oidc", w.link(), demomarket.Person{})
			changed.Clear()
			w.Expect(problemOf(err)).To(BeElementOf(signin.IssuerMismatch, signin.CodeRefused))
			w.Expect(w.calls("oidc")).To(BeZero(), "the code went to an issuer that it is not from")
			w.signedIn("oidc")
		})
	}
}

func TestAnIDTokenOfAnotherSignIn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	// The code and its verifier belong to the visit, and the ID token that comes does not: an attacker asked with a nonce of
	// his own.
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	address, err := url.Parse(visit.URL)
	w.Expect(err).NotTo(HaveOccurred())
	query := address.Query()
	w.Expect(query.Get("nonce")).NotTo(BeEmpty())
	query.Set("nonce", "another")
	address.RawQuery = query.Encode()
	visit.URL = address.String()
	_, err = b.comeBack(b.consent("oidc", visit, demomarket.Person{}))
	w.Expect(problemOf(err)).To(Equal(signin.CodeRefused))
	w.hasNoSecret("main-token")
	w.Expect(market.Report().Count(demomarket.GrantAuthorizationCode, demomarket.OK)).To(Equal(1))
	w.signedIn("oidc")
}

func TestGuessedLinks(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	link := w.link()
	w.traffic.reset()
	for i := range 10_000 {
		guess := signin.Hash(string(rune('a'+i%26)) + link[:i%len(link)])
		_, err := w.visits.Offer(t.Context(), mainAccount(w), guess)
		w.Expect(problemOf(err)).To(Equal(signin.LinkInvalid))
	}
	w.Expect(w.traffic.reads()).To(BeNumerically("<=", 10), "%v", w.traffic.counted())
	w.Expect(w.traffic.writes()).To(BeZero())
	_, err := w.visits.Offer(t.Context(), types.NamespacedName{Namespace: w.Namespace, Name: "nobody"}, signin.TicketOf(link))
	w.Expect(problemOf(err)).To(Equal(signin.LinkInvalid))
	w.signedIn("allegro")
}

func TestTicketOfAFormerAccount(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	link := w.link()
	b := w.browser()
	visit, err := b.begin(link)
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	second := w.link()

	// There is no garbage collector here: the grant Secret of the former account stays, as it does for a moment in a cluster.
	w.Delete(w.get())
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	_, err = b.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown))
	_, err = b.begin(second)
	w.Expect(problemOf(err)).To(Equal(signin.LinkInvalid))
}
