package controller_test

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// atTheMarketplace is a browser that a marketplace has just sent back.
func (w *world) atTheMarketplace(platform string, person demomarket.Person) (*browser, *url.URL) {
	w.T.Helper()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent(platform, visit, person)
	w.settle()
	return b, back
}

// decline goes where eBay sends people who decline.
func (b *browser) decline() error {
	_, err := b.comeBack(&url.URL{Path: signin.CallbackPrefix + b.w.Namespace + "-ebay", RawQuery: "error=access_denied"})
	return err
}

func TestABrowserThatComesBackTwiceIsToldTheSame(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	b, back := w.atTheMarketplace("allegro", demomarket.Person{})

	// The second comes while the first waits for the grant to be stored.
	var written atomic.Int32
	stored := make(chan struct{})
	defer w.traffic.refusing(func(request *http.Request) *http.Response {
		if writesTo(request, "main-grant") && written.Add(1) == 2 {
			<-stored
		}
		return nil
	})()
	told := make(chan string, 2)
	for range 2 {
		go func() {
			outcome, err := b.comeBack(back)
			told <- outcome.ID + ", " + errorText(err)
		}()
	}
	w.Eventually(written.Load).Should(BeEquivalentTo(2))
	w.Consistently(told, 100*time.Millisecond).ShouldNot(Receive())
	close(stored)
	seller := market.Seller().ID + ", no error"
	w.Expect([]string{<-told, <-told}).To(Equal([]string{seller, seller}))

	third, err := b.comeBack(back)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(third.ID).To(Equal(market.Seller().ID))
	standby, _ := w.standby()
	elsewhere, err := standby.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(elsewhere).To(Equal(third))
	w.Expect(w.calls("allegro")).To(Equal(1))

	_, err = w.browser().comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown), "another browser")
	forged := w.browser()
	forged.cookies[signin.CookieName(back.Query().Get("state"))] = w.Namespace + "/main/a-guess"
	_, err = forged.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown), "another cookie")
	w.expectReady()
}

func TestARefusalThatComesBackTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		person demomarket.Person
		query  func(url.Values)
		want   signin.Problem
	}{
		"a decline":           {person: demomarket.Person{Deny: true}, want: signin.ConsentDenied},
		"a code that is none": {query: func(q url.Values) { q.Set("code", "none") }, want: signin.CodeRefused},
		"another seller":      {want: signin.WrongAccount},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode, withAccountID("somebody-else"))
			w.start()
			b, back := w.atTheMarketplace("allegro", story.person)
			if story.query != nil {
				query := back.Query()
				story.query(query)
				back.RawQuery = query.Encode()
			}
			_, first := b.comeBack(back)
			w.Expect(problemOf(first)).To(Equal(story.want))
			standby, _ := w.standby()
			_, again := b.comeBack(back)
			_, elsewhere := standby.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
			w.Expect(again).To(Equal(first))
			w.Expect(elsewhere).To(Equal(first))
			_, err := b.w.visits.Offer(t.Context(), mainAccount(w), problemTicket(elsewhere))
			w.Expect(err).NotTo(HaveOccurred(), "try again")
		})
	}
}

func TestADeclineThatNamesNoSignIn(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode)
	w.start()
	b, back := w.atTheMarketplace("ebay", demomarket.Person{})
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
	w.Expect(problemOf(w.browser().decline())).To(Equal(signin.ConsentDenied))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)

	declined := b.decline()
	w.Expect(problemOf(declined)).To(Equal(signin.ConsentDenied))
	w.Expect(w.expectSignInRequired()).To(And(ContainSubstring("declined"), ContainSubstring("/sign-in/"+w.Namespace+"/main?ticket=")))
	w.Expect(b.decline()).To(Equal(declined), "a reload")
	again, err := b.begin("?ticket=" + problemTicket(declined))
	w.Expect(err).NotTo(HaveOccurred())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
	w.Expect(again.URL).NotTo(BeEmpty())

	// A page elsewhere can send a browser to the address for people who decline. The marketplace's own answer still counts.
	w.Expect(problemOf(b.decline())).To(Equal(signin.ConsentDenied))
	outcome, err := b.comeBack(back)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.ID).To(Equal(w.Market.Platform("ebay").Seller().ID))
	w.expectReady()
	w.Expect(problemOf(b.decline())).To(Equal(signin.ConsentDenied))
	w.settle()
	w.expectAuthenticated()
}

func TestADeclineThatMayBeOfEitherOfTwoAccounts(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode)
	w.account("ebay", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) { a.Name = "second" })
	w.start()
	b, _ := w.atTheMarketplace("ebay", demomarket.Person{})
	var link string
	second := mainAccount(w)
	second.Name = "second"
	w.Eventually(func() string {
		account := &v1alpha1.MarketplaceAccount{}
		w.Expect(kube.Get(t.Context(), second, account)).To(Succeed())
		if account.Status.SignIn != nil {
			link = account.Status.SignIn.URL
		}
		return link
	}).ShouldNot(BeEmpty())
	visit, err := w.visits.Begin(t.Context(), second, signin.TicketOf(link), nil)
	w.Expect(err).NotTo(HaveOccurred())
	b.cookies[visit.CookieName] = visit.CookieValue
	declined := b.decline()
	w.Expect(declined).To(Equal(&signin.Error{Problem: signin.ConsentDenied}), "neither is guessed")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
}
