package signin_test

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

// sessionCookie is by which the portal knows a visitor.
const sessionCookie = "__Host-tokenkeeper-session"

// forgery is a form of another site.
var forgery = template.Must(template.New("forgery").Parse(`<!doctype html><link rel="icon" href="data:,">
<form method="post" action="{{.Action}}">{{range $name, $values := .Fields}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<button>Win a prize</button></form>`))

func TestFormsOfOtherSites(t *testing.T) { inBothForms(t, testFormsOfOtherSites) }

func testFormsOfOtherSites(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("amazon")
	w.account("amazon", v1alpha1.GrantAuthorizationCode)
	w.account("amazon", v1alpha1.GrantAuthorizationCode, named("theirs"))
	victim := w.window()
	w.enter(victim, w.clerk("clerk", w.Namespace))
	thief, theirToken := w.window(), w.clerk("thieves", w.Namespace)
	w.enter(thief, theirToken)
	field := fmt.Sprintf("form[action='/accounts/%s/main/sign-in'] input[name=form]", w.Namespace)
	form := thief.Evaluate(fmt.Sprintf("document.querySelector(%q).value", field))
	w.Expect(form).NotTo(BeEmpty())
	theirLink, err := url.Parse(w.linkOf("theirs", ""))
	w.Expect(err).NotTo(HaveOccurred())
	link := w.link("")

	forgeries := []struct {
		action string
		fields url.Values
	}{
		{"/accounts/" + w.Namespace + "/main/renew", nil},
		{"/accounts/" + w.Namespace + "/main/verify", nil},
		{"/accounts/" + w.Namespace + "/main/sign-in", url.Values{"form": {form}}},
		{"/sign-in/amazon", url.Values{"account": {w.Namespace + "/main"}}},
		{theirLink.Path, theirLink.Query()},             // binds the victim's consent to the thieves' account
		{"/session", url.Values{"token": {theirToken}}}, // makes the victim work in the thieves' name
		{"/logout", nil},
	}
	var at atomic.Int64
	pages := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		forged := forgeries[at.Load()]
		_ = forgery.Execute(rw, map[string]any{"Action": w.front.url + forged.action, "Fields": forged.fields})
	})
	evil := w.site(pages)
	for i, forged := range forgeries {
		at.Store(int64(i))
		victim.Open(evil)
		victim.Press("Win a prize")
		victim.WantText("That came from another site")
		w.Expect(victim.Status()).To(Equal(http.StatusForbidden), forged.action)
		w.Expect(w.front.brought(sessionCookie)).To(BeFalse(), "SameSite keeps the session at home")

		// A page at another port is another origin of the same site, so the cookies come along.
		victim.Open(browser.Localhost(evil))
		victim.Press("Win a prize")
		victim.WantText("That came from another site")
		w.Expect(w.front.brought(sessionCookie)).To(BeTrue())
	}
	picture(victim, "foreign")

	t.Log("a link of another site does nothing either")
	for _, action := range []string{"renew", "verify", "sign-in"} {
		victim.Open(w.front.url + "/accounts/" + w.Namespace + "/main/" + action)
		victim.WantText("That is not possible here")
	}
	victim.Open(w.front.url + "/logout")
	victim.Open(w.front.url)
	victim.WantText("Logged in as " + w.Namespace + ":clerk")
	w.Expect(w.Get("main").Annotations).To(BeEmpty())
	w.Expect(w.link("")).To(Equal(link))
	w.Expect(w.linkOf("theirs", "")).To(ContainSubstring(theirLink.RawQuery))
	w.Expect(market.Report().Requests[demomarket.AuthorizationEndpoint]).To(BeZero())

	t.Log("and neither does a form of the portal's own for somebody else")
	change(victim, field, "value", form)
	victim.Press("Sign in")
	victim.WantText("This page is out of date")
	w.Expect(w.Get("main").Annotations).To(BeEmpty())
}

// change makes an element of a page say something else, as everybody can with the developer tools of his browser.
func change(window *browser.Window, selector, attribute, value string) {
	property := fmt.Sprintf("document.querySelector(%q)[%q] = %q", selector, attribute, value)
	if attribute == "action" {
		property = fmt.Sprintf("document.querySelector(%q).setAttribute(%q, %q)", selector, attribute, value)
	}
	window.Evaluate("(" + property + `, "")`)
}
