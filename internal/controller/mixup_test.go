package controller_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// shops are servers of one software at hosts that the authors of accounts choose: honest is the demo marketplace, and what
// the others are asked is written down.
type shops struct {
	w     *world
	mu    sync.Mutex
	asked []string
}

const ofShops = ".shops.example.com"

// RoundTrip implements http.RoundTripper.
func (s *shops) RoundTrip(request *http.Request) (*http.Response, error) {
	host := request.URL.Hostname()
	if strings.HasSuffix(host, ofShops) && host != "honest"+ofShops {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, host+request.URL.Path)
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: request, Header: http.Header{}}, nil
	}
	moved := request.Clone(request.Context())
	moved.URL = s.real(request.URL)
	moved.Host = moved.URL.Host
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(moved)
}

// real is where the demo marketplace listens.
func (s *shops) real(address *url.URL) *url.URL {
	market, err := url.Parse(s.w.Address)
	s.w.Expect(err).NotTo(HaveOccurred())
	moved := *address
	if strings.HasSuffix(address.Hostname(), ofShops) {
		moved.Scheme, moved.Host = market.Scheme, market.Host
	}
	return &moved
}

// others are the requests to hosts that are not honest.
func (s *shops) others() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

// withShops makes a Marketplace with the host as a parameter, and the application that is registered at the honest shop.
func withShops(t *testing.T, declare v1alpha1.ParameterDeclaration) (*world, *shops) {
	w := newWorld(t)
	network := &shops{w: w}
	w.network = network
	w.marketplace("allegro", func(m *v1alpha1.Marketplace) {
		m.Spec.Parameters = append(m.Spec.Parameters, declare)
		for _, endpoint := range []*v1alpha1.URLTemplate{&m.Spec.Endpoints.Authorization, &m.Spec.Endpoints.Token} {
			*endpoint = v1alpha1.URLTemplate(strings.Replace(string(*endpoint), w.Address, "https://{shop}"+ofShops, 1))
		}
	})
	w.signInApplication("allegro")
	return w, network
}

func ofShop(name string) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Parameters = []v1alpha1.Parameter{{Name: "shop", Value: name}}
	}
}

var chosenHost = v1alpha1.ParameterDeclaration{Name: "shop", Description: "the shop's name", Pattern: "[a-z]+", Required: true}

// redirectURI waits for the link, and returns the redirect URI that the status tells to register.
func (w *world) redirectURI() string {
	w.T.Helper()
	w.link()
	return w.get().Status.SignIn.RedirectURI
}

// TestEachHostThatAnAccountChoosesHasACallbackOfItsOwn leads an honest sign-in through it.
func TestEachHostThatAnAccountChoosesHasACallbackOfItsOwn(t *testing.T) {
	w, network := withShops(t, chosenHost)
	w.account("allegro", v1alpha1.GrantAuthorizationCode, ofShop("honest"))
	w.start()
	callback := w.redirectURI()
	w.Expect(callback).To(MatchRegexp(`^https://tokens\.example\.com/callback/` + w.Namespace + `-allegro/[a-z2-7]{16}$`))
	w.Market.Platform("allegro").AddRedirectURI(demomarket.DefaultClientID, callback)

	w.Expect(w.signedInAt(network).URL).To(HavePrefix("https://honest" + ofShops + "/"))
	w.Expect(network.others()).To(BeEmpty())
}

// signedInAt signs in at the honest shop, and returns the visit that led there.
func (w *world) signedInAt(network *shops) signin.Visit {
	w.T.Helper()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	_, err = b.comeBack(b.at(network, visit, nil))
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
	return visit
}

// TestAGrantDoesNotGoToAnotherServer: whoever may edit an account does not get its refresh token, and the grant goes on once the edit is undone.
func TestAGrantDoesNotGoToAnotherServer(t *testing.T) {
	w, network := withShops(t, chosenHost)
	w.account("allegro", v1alpha1.GrantAuthorizationCode, ofShop("honest"))
	w.start()
	w.Market.Platform("allegro").AddRedirectURI(demomarket.DefaultClientID, w.redirectURI())
	w.signedInAt(network)

	w.edit(ofShop("evil"))
	w.Expect(w.expectSignInRequired()).To(ContainSubstring("belongs to the application or the server that was used before"))
	w.passUntil(w.renewalTime())
	w.pass(time.Minute)
	w.Expect(network.others()).To(BeEmpty(), "sent the refresh token to a server that did not give it")

	w.edit(ofShop("honest"))
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("allegro").AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(w.Market.Platform("allegro").Report().DoubleSpends).To(BeZero())
}

// at goes through the honest shop's pages with the request of a visit, changed.
func (b *browser) at(network *shops, visit signin.Visit, change func(url.Values)) *url.URL {
	b.w.T.Helper()
	link, err := url.Parse(visit.URL)
	b.w.Expect(err).NotTo(HaveOccurred())
	query := link.Query()
	if change != nil {
		change(query)
	}
	link.RawQuery = query.Encode()
	back, err := b.w.Market.Platform("allegro").SignIn(b.w.T.Context(), b.client, network.real(link).String(), demomarket.Person{})
	b.w.Expect(err).NotTo(HaveOccurred())
	watched.Secret(back.Query().Get("state"))
	return back
}

// TestAnHonestCodeDoesNotGoToAnotherServer lets a shop send the browser, and the request of a visit, on to the honest shop, so
// that the honest shop's code comes back in its name (RFC 9700 section 4.4).
func TestAnHonestCodeDoesNotGoToAnotherServer(t *testing.T) {
	w, network := withShops(t, chosenHost)
	w.account("allegro", v1alpha1.GrantAuthorizationCode, ofShop("honest"))
	w.start()
	honest := w.redirectURI()
	w.Market.Platform("allegro").AddRedirectURI(demomarket.DefaultClientID, honest)
	w.edit(ofShop("evil"))
	w.Eventually(w.redirectURI).ShouldNot(Equal(honest))
	evil := w.redirectURI()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(visit.URL).To(And(HavePrefix("https://evil"+ofShops+"/"), ContainSubstring(url.QueryEscape(evil))))

	back := b.at(network, visit, func(query url.Values) { query.Set("redirect_uri", honest) })
	w.Expect(back.Query().Get("code")).NotTo(BeEmpty())
	_, err = b.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown))

	plain := *back // and what an application that registered the callback without a key would bring
	plain.Path = "/callback/" + w.Namespace + "-allegro"
	_, err = b.comeBack(&plain)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown))
	w.Expect(network.others()).To(BeEmpty(), "requests to the other shop")
}

// TestAnAccountThatMovesDuringASignIn does not take the code along: the author of an account may not be the person who signs in.
func TestAnAccountThatMovesDuringASignIn(t *testing.T) {
	t.Parallel()
	for name, declare := range map[string]v1alpha1.ParameterDeclaration{
		"to a host that it chooses": chosenHost,
		"to a host of the list":     {Name: "shop", Enum: []string{"honest", "evil"}, Required: true},
	} {
		t.Run(name, func(t *testing.T) {
			w, network := withShops(t, declare)
			w.account("allegro", v1alpha1.GrantAuthorizationCode, ofShop("honest"))
			w.start()
			w.Market.Platform("allegro").AddRedirectURI(demomarket.DefaultClientID, w.redirectURI())
			b := w.browser()
			visit, err := b.begin(w.link())
			w.Expect(err).NotTo(HaveOccurred())
			back := b.at(network, visit, nil)
			w.edit(ofShop("evil"))
			_, err = b.comeBack(back)
			w.Expect(problemOf(err)).To(Equal(signin.AccountUnready))
			w.Expect(err.Error()).To(ContainSubstring("another address of the marketplace"))
			w.Expect(network.others()).To(BeEmpty(), "requests to the other shop")
		})
	}
}

// TestHostsThatTheMarketplaceListsShareACallback since its author vouches for all of them.
func TestHostsThatTheMarketplaceListsShareACallback(t *testing.T) {
	w, network := withShops(t, v1alpha1.ParameterDeclaration{Name: "shop", Enum: []string{"honest", "other"}, Default: "honest"})
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.Expect(w.redirectURI()).To(Equal("https://tokens.example.com/callback/" + w.Namespace + "-allegro"))
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	_, err = b.comeBack(b.at(network, visit, nil))
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
}

// TestARedirectURIOfAnotherServer in the application's Secret is found before a person is sent away.
func TestARedirectURIOfAnotherServer(t *testing.T) {
	w, _ := withShops(t, chosenHost)
	w.editSecret("app", map[string]string{
		"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret,
		"redirect_uri": "https://tokens.example.com/callback/" + w.Namespace + "-allegro",
	})
	w.account("allegro", v1alpha1.GrantAuthorizationCode, ofShop("honest"))
	w.start()
	w.Expect(w.redirectURI()).To(BeEmpty(), "the Secret's own")
	_, err := w.browser().begin(w.link())
	w.Expect(problemOf(err)).To(Equal(signin.AccountUnready))
	w.Expect(err.Error()).To(ContainSubstring("leave it out, and register https://tokens.example.com/callback/" + w.Namespace + "-allegro/"))
}

// TestAVisitThatNamesNoServer was written by somebody else than the operator, and ends at no server: a code must not go to any that the account names
// by now.
func TestAVisitThatNamesNoServer(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	b, back := w.atTheMarketplace("allegro", demomarket.Person{})
	w.editCustody(func(kept *custody.Custody) {
		w.Expect(kept.SignIn.Visits).To(HaveLen(1))
		kept.SignIn.Visits[0].Server = ""
	})
	w.settle()
	calls := w.calls("allegro")
	_, err := b.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown))
	w.Expect(w.calls("allegro")).To(Equal(calls))
}
