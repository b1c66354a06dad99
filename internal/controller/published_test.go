package controller_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// platform is one of a few lines: what it answers to requests for tokens, and whether its API takes them.
type platform struct {
	*httptest.Server
	answer  atomic.Pointer[string]
	refuses atomic.Bool
	tokens  atomic.Int32 // requests for tokens
	tests   atomic.Int32 // requests to the API
}

func newPlatform(t *testing.T, answer string) *platform {
	p := &platform{}
	p.answer.Store(&answer)
	routes := http.NewServeMux()
	routes.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		p.tokens.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(*p.answer.Load()))
	})
	routes.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) {
		if p.tests.Add(1); p.refuses.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"17"}`))
	})
	p.Server = httptest.NewServer(routes)
	t.Cleanup(p.Close)
	return p
}

// at leads a Marketplace to the platform.
func (p *platform) at(changes ...func(*v1alpha1.MarketplaceSpec)) func(*v1alpha1.Marketplace) {
	return func(m *v1alpha1.Marketplace) {
		m.Spec.Endpoints = v1alpha1.Endpoints{
			Authorization: v1alpha1.URLTemplate(p.URL + "/authorize"), Token: v1alpha1.URLTemplate(p.URL + "/token"),
		}
		m.Spec.Identity = v1alpha1.Identity{Request: &v1alpha1.IdentityRequest{URL: v1alpha1.URLTemplate(p.URL + "/me"), IDPath: "{.id}"}}
		m.Spec.Grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantRefreshToken}
		for _, change := range changes {
			change(&m.Spec)
		}
	}
}

// back is where the platform sends a browser that was sent to it.
func back(visitURL string, more string) *url.URL {
	address, _ := url.Parse(visitURL)
	callback, _ := url.Parse(address.Query().Get("redirect_uri"))
	callback.RawQuery = "code=the-code&state=" + url.QueryEscape(address.Query().Get("state")) + more
	return callback
}

// signInAt signs the account in.
func (w *world) signInAt(more string) {
	w.T.Helper()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	_, err = b.comeBack(back(visit.URL, more))
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
	w.settle()
}

// Workloads find beside the token what they must know, from the manifest, the answer and the callback, and a manifest that publishes more spends
// nothing.
func TestPublishedKeys(t *testing.T) {
	w := newWorld(t)
	p := newPlatform(t, `{"access_token":"a1","refresh_token":"the-refresh-token-1","expires_in":3600,"token_type":"Bearer","instance_url":"https://my.example.com"}`)
	object := w.marketplace("oidc", p.at(func(s *v1alpha1.MarketplaceSpec) {
		s.Scopes.Default = nil
		s.APIHosts = []v1alpha1.HostTemplate{"api.{host}"}
		s.Published = []v1alpha1.PublishedKey{
			{Key: "instance_url", Answer: "instance_url"}, {Key: "realm_id", Callback: "realmId"}, {Key: "seller", Value: "{accountID}"},
		}
	}))
	w.secret("app", map[string]string{"client_id": "demo-client", "client_secret": "demo-client-secret"})
	w.account("oidc", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{"call": "{{ .instance_url }}/v1/{{ .realm_id }}"}}
	})
	w.start()
	w.signInAt("&realmId=9341452")
	w.Eventually(w.token).Should(And(
		HaveKeyWithValue("instance_url", "https://my.example.com"), HaveKeyWithValue("realm_id", "9341452"), HaveKeyWithValue("seller", "17"),
		HaveKeyWithValue("api_hosts", "api.login.example.com"), HaveKeyWithValue("call", "https://my.example.com/v1/9341452"),
		Not(HaveKey("refresh_token")),
	))

	// A renewal whose answer has less leaves what is known, and one that has other values replaces it.
	p.answer.Store(new(`{"access_token":"a2","refresh_token":"the-refresh-token-2","expires_in":3600,"token_type":"Bearer"}`))
	w.passRenewal()
	w.Eventually(w.token).Should(And(HaveKeyWithValue("access_token", "a2"), HaveKeyWithValue("instance_url", "https://my.example.com"), HaveKeyWithValue("realm_id", "9341452")))

	// A changed manifest changes the Secret, and asks the platform for nothing.
	asked := p.tokens.Load()
	w.EditMarketplace("oidc", func(m *v1alpha1.Marketplace) {
		m.Spec.Published = append(m.Spec.Published[:2:2], v1alpha1.PublishedKey{Key: "api_url", Value: "https://api.{host}/v2"})
	})
	w.Eventually(w.token).Should(And(HaveKeyWithValue("api_url", "https://api.login.example.com/v2"), Not(HaveKey("seller")), HaveKeyWithValue("access_token", "a2")))
	w.settle()
	w.Expect(p.tokens.Load()).To(Equal(asked))
	w.Expect(object.Name).NotTo(BeEmpty())
}

// A token whose answer names no end stays, is tested once a day, and is given up when the platform refuses it twice.
func TestATokenWithoutAnEnd(t *testing.T) {
	w := newWorld(t)
	p := newPlatform(t, `{"access_token":"shpat-1","scope":""}`)
	w.marketplace("oidc", p.at(func(s *v1alpha1.MarketplaceSpec) {
		s.Scopes.Default = nil
		s.AccessToken = v1alpha1.AccessToken{Expiry: v1alpha1.AccessTokenExpiryNone}
	}))
	w.secret("app", map[string]string{"client_id": "demo-client", "client_secret": "demo-client-secret"})
	w.account("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signInAt("")
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.Expect(message).To(Equal("The token is valid and has no end of its own"))
	w.expectAuthenticated()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(w.get().Status.AccessToken.ExpirationTime.IsZero()).To(BeTrue())
	w.Expect(w.get().Status.AccessToken.RenewalTime.IsZero()).To(BeTrue())
	w.Expect(w.token()).To(HaveKeyWithValue("expires_at", "9999-12-31T23:59:59Z"))

	asked, tests := p.tokens.Load(), p.tests.Load()
	for day := range int32(3) {
		w.pass(24 * time.Hour)
		w.Eventually(p.tests.Load).Should(Equal(tests + day + 1))
		w.expectReady()
		w.expectAuthenticated()
	}
	w.pass(400 * 24 * time.Hour)
	w.expectReady()
	w.Expect(p.tokens.Load()).To(Equal(asked), "nothing renews it")

	p.refuses.Store(true)
	w.pass(24 * time.Hour)
	w.expectReady() // one refusal may be a slip
	w.pass(2 * time.Minute)
	message = w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonSignInRequired)
	w.Expect(message).To(ContainSubstring("refuses the access token, which has no end of its own"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.Expect(p.tokens.Load()).To(Equal(asked))

	w.pass(2 * time.Second)
	p.refuses.Store(false)
	p.answer.Store(new(`{"access_token":"shpat-2","scope":""}`))
	w.signInAt("")
	w.Eventually(w.token).Should(HaveKeyWithValue("access_token", "shpat-2"))
	w.expectAuthenticated()
}
