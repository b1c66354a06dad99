package signin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestRedirectsElsewhere looks for a way to make the portal send a browser elsewhere. The front looks at each answer for that.
func TestRedirectsElsewhere(t *testing.T) { inBothForms(t, testRedirectsElsewhere) }

func testRedirectsElsewhere(t *testing.T) {
	w, _ := newWorld(t)
	w.marketplace("amazon")
	w.account("amazon", v1alpha1.GrantAuthorizationCode)
	token := w.clerk("clerk", w.Namespace)
	const evil = "//evil.example.com"
	asVisitor := w.http()
	w.Expect(w.status(asVisitor, http.MethodPost, "/session", url.Values{"token": {token}})).To(Equal(http.StatusOK))
	for _, path := range []string{
		evil, "/" + evil, "/%2f%2fevil.example.com", `/\evil.example.com`, "/%5cevil.example.com", "/.//evil.example.com", "/sign-in//evil.example.com",
		"/sign-in/..//evil.example.com", "/sign-in/" + evil + "/x?ticket=1", "/callback/" + evil, "/callback/amazon?state=1&code=2&redirect_uri=https:" + evil,
		"/done/" + evil, "/?next=https:" + evil, "/?notice=https:" + evil, "/sign-in/amazon?next=https:" + evil, "/session?next=https:" + evil,
		"/accounts/" + evil + "/renew", "/logout?next=" + evil,
	} {
		for _, client := range []*http.Client{w.http(), asVisitor} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				w.Expect(w.status(client, method, path, url.Values{"next": {"https:" + evil}})).To(BeNumerically("<", 500), path)
			}
		}
	}
	anna := w.window()
	for _, next := range []string{"https:" + evil, evil, `/\evil.example.com`, "/sign-in/" + evil, "/sign-in/%2e%2e//evil.example.com", "javascript:alert(1)"} {
		anna.Open(w.front.url)
		anna.Fill("Access token", token)
		anna.Evaluate(`document.forms[0].insertAdjacentHTML("beforeend", "<input name=next>"), ""`)
		change(anna, "input[name=next]", "value", next)
		anna.Press("Show accounts")
		w.Expect(anna.URL().String()).To(HavePrefix(w.front.url+"/"), next)
		anna.WantText("Logged in as")
		anna.Press("Log out")
	}
}

// TestEveryAnswerIsGuarded asks for pages that stories do not come across. The front knows the headers that they must have.
func TestEveryAnswerIsGuarded(t *testing.T) { inBothForms(t, testEveryAnswerIsGuarded) }

func testEveryAnswerIsGuarded(t *testing.T) {
	w, _ := newWorld(t)
	w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	link, err := url.Parse(w.link(""))
	w.Expect(err).NotTo(HaveOccurred())
	token := w.clerk("clerk", w.Namespace)
	visitor := w.http()
	w.Expect(w.status(visitor, http.MethodPost, "/session", url.Values{"token": {token}})).To(Equal(http.StatusOK))
	for _, asked := range []struct {
		client       *http.Client
		method, path string
		form         url.Values
		want         int
	}{
		{nil, http.MethodGet, "/", nil, http.StatusOK},
		{visitor, http.MethodGet, "/", nil, http.StatusOK},
		{visitor, http.MethodGet, "/sign-in/allegro", nil, http.StatusOK},
		{nil, http.MethodGet, "/healthz", nil, http.StatusOK},
		{nil, http.MethodGet, "/readyz", nil, http.StatusOK},
		{nil, http.MethodGet, link.RequestURI(), nil, http.StatusOK},
		{nil, http.MethodHead, link.RequestURI(), nil, http.StatusOK},
		{nil, http.MethodGet, "/nowhere", nil, http.StatusNotFound},
		{nil, http.MethodGet, "/done/AAAAAAAAAAAAAAAA", nil, http.StatusNotFound},
		{nil, http.MethodPut, "/", nil, http.StatusMethodNotAllowed},
		{nil, http.MethodOptions, "/session", nil, http.StatusMethodNotAllowed},
		{nil, http.MethodHead, "/callback/allegro?code=1&state=2", nil, http.StatusMethodNotAllowed},
		{nil, http.MethodPost, "/session", url.Values{"token": {"nonsense"}}, http.StatusUnauthorized},
		{nil, http.MethodPost, "/session", url.Values{"token": {strings.Repeat("a", 40<<10)}}, http.StatusRequestEntityTooLarge},
		{nil, http.MethodPost, "/accounts/" + w.Namespace + "/main/renew", nil, http.StatusUnauthorized},
		{visitor, http.MethodPost, "/accounts/" + w.Namespace + "/main/renew", nil, http.StatusForbidden},
		{nil, http.MethodPost, link.Path, link.Query(), http.StatusOK},
	} {
		if asked.client == nil {
			asked.client = w.http()
		}
		w.Expect(w.status(asked.client, asked.method, asked.path, asked.form)).To(Equal(asked.want), asked.method+" "+asked.path)
	}
	w.Expect(w.Get("main").Annotations).To(BeEmpty())
}
