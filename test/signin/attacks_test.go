package signin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

func TestACallbackInAnotherBrowser(t *testing.T) { inBothForms(t, testACallbackInAnotherBrowser) }

func testACallbackInAnotherBrowser(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna, thief := w.window(), w.window()
	first := w.link("")
	w.follow(anna, first, "Allegro")
	anna.LogIn(user, password)
	w.follow(thief, w.link(first), "Allegro") // he is signing in as well
	lost := w.front.lose(signin.CallbackPrefix)
	anna.Allow()
	callback := <-lost

	thief.Open(callback)
	thief.WantText("This sign-in cannot be completed here")
	w.Expect(exchanges(market, "")).To(BeZero())
	w.Expect(w.token("main")).To(BeNil())
	picture(thief, "another-browser")

	anna.Open(callback) // she reloads the page
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	thief.Open(callback)
	thief.WantText("This sign-in cannot be completed here")
	w.Expect(exchanges(market, "")).To(Equal(1))
}

func TestNamesThatAreHTML(t *testing.T) { inBothForms(t, testNamesThatAreHTML) }

func testNamesThatAreHTML(t *testing.T) {
	w, _ := newWorld(t)
	const script = `"><script>document.title='owned'</script><img src=x onerror=alert(1)><b>`
	const name = "<i>eBay</i> & <u>sons</u>"
	market := w.marketplace("ebay", func(m *v1alpha1.Marketplace) { m.Spec.DisplayName = name })
	const injected = `[...document.querySelectorAll("i, u, s, b, em, script, img")].map(e => e.outerHTML).join()`
	seller := demomarket.Seller{ID: "an<s>id</s>", Login: script}
	market.AddSeller(seller)
	market.AddUser("html@example.com", password, seller.ID)
	w.account("ebay", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "<em>login</em>" })
	wantText := func(window *browser.Window, texts ...string) {
		t.Helper()
		for _, text := range texts {
			window.WantText(text)
		}
		w.Expect(window.Evaluate(injected)).To(BeEmpty())
	}
	anna := w.window()
	w.enter(anna, w.clerk("clerk", w.Namespace))
	wantText(anna, name, "<em>login</em>")
	anna.Press("Sign in")
	wantText(anna, "Sign in at "+name, "<em>login</em>")
	denial := market.Inject(demomarket.Callback(func(callback url.Values) {
		callback.Set("error", "access_denied")
		callback.Set("error_description", script)
		callback.Del("code")
	}))
	anna.Press("Continue to " + name)
	anna.LogIn("html@example.com", password)
	anna.Allow()
	denial.Clear()
	anna.WantText("Access was not granted")
	wantText(anna, name)
	anna.Press("Try again")
	anna.Press("Continue to " + name)
	anna.LogIn("html@example.com", password)
	anna.Allow()
	anna.WantText("Signed in at " + name)
	wantText(anna, seller.Login, seller.ID)
	picture(anna, "html")
	anna.Press("Show accounts")
	wantText(anna, seller.Login, seller.ID)

	for _, path := range []string{"/sign-in/<b>/<i>?ticket=<u>", "/callback/<b>?error=<i>", "/<script>", "/?notice=<b>x</b>", "/done/<b>"} {
		anna.Open(w.front.url + path)
		w.Expect(anna.Evaluate(injected)).To(BeEmpty())
	}
}

func TestGuessedLinks(t *testing.T) { inBothForms(t, testGuessedLinks) }

func testGuessedLinks(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	link := w.link("")
	guessers, guesses := 4, 2500
	if testing.Short() {
		guesses = 250
	}
	var unknown, limited atomic.Int64
	var all sync.WaitGroup
	for guesser := range guessers {
		client := w.http()
		all.Go(func() {
			for guess := range guesses {
				response, err := client.Get(w.front.url + "/sign-in/" + w.Namespace + "/main?ticket=" + signin.Hash(fmt.Sprint(guesser, guess)))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				switch {
				case response.StatusCode == http.StatusNotFound:
					unknown.Add(1)
				case response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") != "":
					limited.Add(1)
				}
			}
		})
	}
	all.Wait()
	w.Expect(unknown.Load() + limited.Load()).To(BeEquivalentTo(guessers * guesses))
	w.Expect(unknown.Load()).To(BeNumerically("<", 100))
	// Every few seconds there is room for one more.
	w.Eventually(func() int {
		return w.status(w.http(), http.MethodPost, "/sign-in/"+w.Namespace+"/main", url.Values{"ticket": {"a-guess"}})
	}).Should(Equal(http.StatusTooManyRequests))
	w.Expect(w.link("")).To(Equal(link))
	w.Expect(market.Report().Requests[demomarket.AuthorizationEndpoint]).To(BeZero())

	guesser, anna := w.window(), w.window() // at the same address
	w.Eventually(func() string {
		guesser.Open(w.front.url + "/sign-in/" + w.Namespace + "/main?ticket=a-guess")
		return guesser.Text()
	}).Should(ContainSubstring("Too many attempts"))
	picture(guesser, "too-many")
	w.follow(anna, link, "Allegro")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}
