package signin_test

import (
	"net/http"
	"net/url"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// TestBeginningInTheStore is at Amazon, of a visitor whom the portal knows or asks first.
func TestBeginningInTheStore(t *testing.T) { inBothForms(t, testBeginningInTheStore) }

func testBeginningInTheStore(t *testing.T) {
	for name, known := range rows(map[string]bool{"a visitor who is logged in": true, "a visitor who is not": false}, "a visitor who is not") {
		t.Run(name, func(t *testing.T) {
			w, _ := newWorld(t)
			market := w.marketplace("amazon")
			w.account("amazon", v1alpha1.GrantAuthorizationCode, named("another"), of(market.OtherSeller()))
			w.account("amazon", v1alpha1.GrantAuthorizationCode, of(market.Seller()))
			token := w.clerk("clerk", w.Namespace)
			w.linkOf("another", "")
			w.link("")
			anna := w.window()
			if known {
				w.enter(anna, token)
			}
			anna.Open(w.Address + "/amazon/apps/store?application_id=" + demomarket.DefaultApplicationID)
			anna.LogIn(user, password)
			anna.Authorize()
			if !known {
				anna.Fill("Access token", token)
				anna.Press("Show accounts")
			}
			anna.WantText("Connect an account at Amazon")
			w.wantOrder(anna, "The seller with whom you came from Amazon", w.Namespace+"/main", w.Namespace+"/another")
			picture(anna, "store")
			anna.Press("Sign in")
			anna.WantText(w.Namespace + "/main")
			anna.WantText(market.Seller().ID)
			anna.Press("Continue to Amazon")
			anna.WantText("Signed in at Amazon")
			anna.WantText(market.Seller().ID)
			w.expectSignedIn(market, market.Seller())
			w.Expect(market.Report().Starts).To(Equal(demomarket.CodeTally{Issued: 1, Used: 1}))
			w.Expect(exchanges(market, "")).To(Equal(1))
		})
	}
}

func TestAStoreThatIsNone(t *testing.T) { inBothForms(t, testAStoreThatIsNone) }

func testAStoreThatIsNone(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("amazon")
	w.account("amazon", v1alpha1.GrantAuthorizationCode)
	link := w.link("")
	asked := make(chan string, 10)
	thief := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.RequestURI })
	anna := w.window()
	w.enter(anna, w.clerk("clerk", w.Namespace))
	for _, address := range []string{
		"https://evil.example.com/apps/authorize/confirm/x",
		"https://amazon.com.evil.example.com/",
		"https://amazon.com@evil.example.com/",
		`https://evil.example.com\@amazon.com/`,
		"http://amazon.com/",
		"javascript:alert(1)",
		"//evil.example.com/",
		w.site(thief), // the marketplace's host at another port
	} {
		query := url.Values{"amazon_callback_uri": {address}, "amazon_state": {"a-state-of-a-store"}, "selling_partner_id": {market.Seller().ID}}
		anna.Open(w.front.url + "/sign-in/amazon?" + query.Encode())
		anna.Press("Sign in")
		anna.Press("Continue to Amazon")
		anna.WantText("This is not the way from Amazon")
		w.Expect(anna.URL().String()).To(HavePrefix(w.front.url), address)
	}
	picture(anna, "refused")
	w.Expect(asked).To(BeEmpty())
	w.Expect(w.link("")).To(Equal(link))
	w.follow(anna, link, "Amazon")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Amazon")
	w.expectSignedIn(market, market.Seller())
}
