package signin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestAVisitorOfOneNamespace(t *testing.T) { inBothForms(t, testAVisitorOfOneNamespace) }

func testAVisitorOfOneNamespace(t *testing.T) {
	w, _ := newWorld(t)
	w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode, of(demomarket.Seller{ID: "1", Login: "a-shop-nearby"}))
	elsewhere := w.NewNamespace("shop-")
	w.application(elsewhere, "allegro")
	inElsewhere := func(a *v1alpha1.MarketplaceAccount) { a.Namespace = elsewhere }
	w.account("allegro", v1alpha1.GrantAuthorizationCode, inElsewhere, of(demomarket.Seller{ID: "2", Login: "a-shop-elsewhere"}))
	anna := w.window()
	w.enter(anna, w.clerk("clerk", w.Namespace))
	anna.WantText("a-shop-nearby")
	for _, hidden := range []string{"a-shop-elsewhere", elsewhere} {
		w.Expect(anna.Text()).NotTo(ContainSubstring(hidden))
	}
	anna.Open(w.front.url + "/sign-in/allegro")
	anna.WantText(w.Namespace + "/main")
	w.Expect(anna.Text()).NotTo(ContainSubstring(elsewhere))

	t.Log("an account of another namespace looks like none")
	for _, name := range []string{"main", "nobody"} {
		for _, action := range []string{"renew", "verify", "sign-in"} {
			anna.Open(w.front.url)
			change(anna, fmt.Sprintf("form[action='/accounts/%s/main/sign-in']", w.Namespace), "action", "/accounts/"+elsewhere+"/"+name+"/"+action)
			anna.Press("Sign in")
			// The form is good for one path. Only a person with the token itself can make another.
			anna.WantText("This page is out of date")
		}
		anna.Open(w.front.url + "/sign-in/allegro")
		change(anna, "input[name=account]", "value", elsewhere+"/"+name)
		anna.Press("Sign in")
		anna.WantText("You may not do that")
		w.Expect(anna.Status()).To(Equal(http.StatusForbidden))
	}
	account := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(t.Context(), client.ObjectKey{Namespace: elsewhere, Name: "main"}, account)).To(Succeed())
	w.Expect(account.Annotations).To(BeEmpty())

	t.Log("a visitor without any rights sees that")
	ben := w.window()
	w.enter(ben, w.clerk("nobody"))
	ben.WantText("There is no account that you may see.")
}

func TestRightsThatAreTakenAway(t *testing.T) { inBothForms(t, testRightsThatAreTakenAway) }

func testRightsThatAreTakenAway(t *testing.T) {
	w, _ := newWorld(t)
	w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.enter(anna, w.clerk("clerk", w.Namespace))
	anna.WantText(w.Namespace + "/main")
	w.dismiss("clerk")
	anna.Press("Sign in") // the right to act is looked up each time
	anna.WantText("You may not do that")
	w.Expect(w.Get("main").Annotations).To(BeEmpty())
	w.clock.Step(time.Minute) // the right to see, now and then
	anna.Open(w.front.url)
	anna.WantText("There is no account that you may see.")
	picture(anna, "empty")
}
