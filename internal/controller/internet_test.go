package controller_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// page answers a request with a status and a body; a redirect's body is where it points to.
type page func(*http.Request) (status int, body string)

// internet answers for hosts that do not exist, and writes down what was asked.
type internet struct {
	mu    sync.Mutex
	pages map[string]page // by host and path
	asked []string
}

// RoundTrip implements http.RoundTripper.
func (i *internet) RoundTrip(request *http.Request) (*http.Response, error) {
	address := request.URL.Host + request.URL.Path
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, address)
	response := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody, Request: request}
	if answer := i.pages[address]; answer != nil {
		var body string
		if response.StatusCode, body = answer(request); response.StatusCode/100 == 3 {
			response.Header.Set("Location", body)
		} else {
			response.Body = io.NopCloser(strings.NewReader(body))
		}
	}
	return response, nil
}

// set replaces an answer.
func (i *internet) set(address string, answer page) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pages[address] = answer
}

// count is how often an address was asked, or a host for an address that ends with a slash.
func (i *internet) count(address string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, asked := range i.asked {
		if asked == address || strings.HasSuffix(address, "/") && strings.HasPrefix(asked, address) {
			n++
		}
	}
	return n
}

func says(body string) page { return func(*http.Request) (int, string) { return http.StatusOK, body } }

const (
	loginHost     = "login.example.com"
	documentPath  = loginHost + "/.well-known/openid-configuration"
	loginKeys     = loginHost + "/keys"
	loginToken    = loginHost + "/token"
	loginDocument = `{"issuer":"https://login.example.com","token_endpoint":"https://login.example.com/token","jwks_uri":"https://login.example.com/keys"}`
)

// atAnIssuer is a story of an account whose tokens come from an issuer with one RSA key. Its renewals bring another access token
// each, with an ID token.
func atAnIssuer(t *testing.T, change func(*v1alpha1.Marketplace)) (*world, *internet) {
	w := newWorld(t)
	network := &internet{pages: map[string]page{}}
	w.network = network
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: demomarket.SharedKey(), KeyID: "own"}}, nil)
	w.Expect(err).NotTo(HaveOccurred())
	own, err := jose.JSONWebKey{Key: demomarket.SharedKey().Public(), KeyID: "own", Use: "sig"}.MarshalJSON()
	w.Expect(err).NotTo(HaveOccurred())
	network.set(documentPath, says(loginDocument))
	short := base64.RawURLEncoding.EncodeToString(make([]byte, 31))
	network.set(loginKeys, says(`{"keys":[{"kty":"EC","crv":"P-256","kid":"ec","x":"`+short+`","y":"`+short+`"},`+string(own)+`]}`))
	serial := 0
	network.set(loginToken, func(*http.Request) (int, string) {
		serial++
		idToken, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": "https://login.example.com", "aud": demomarket.DefaultClientID, "sub": "seller-1", "exp": w.clock.Now().Add(time.Hour).Unix(),
		}).Serialize()
		w.Expect(err).NotTo(HaveOccurred())
		watched.Secret(idToken)
		return http.StatusOK, fmt.Sprintf(`{"access_token":"AT%d-xxxxxxxxxxxxxxxxxxxx","token_type":"Bearer","expires_in":3600,"refresh_token":"RT%d-xxxxxxxxxxxxxxxxxxxx","id_token":%q}`,
			serial, serial, idToken)
	})
	w.marketplace("oidc", func(m *v1alpha1.Marketplace) {
		m.Spec.Endpoints = v1alpha1.Endpoints{Issuer: "https://login.example.com"}
		if change != nil {
			change(m)
		}
	})
	w.application()
	w.secret("import", map[string]string{"refresh_token": "RT0-xxxxxxxxxxxxxxxxxxxx"})
	w.account("oidc", v1alpha1.GrantRefreshToken)
	return w, network
}

func TestATokenIsVerifiedWithItsOwnKeyBesideABadOne(t *testing.T) {
	w, _ := atAnIssuer(t, nil)
	w.start()
	w.expectReady()
	w.Expect(w.token()).To(HaveKey("id_token"))
}

// TestNoRequestFollowsARedirect whatever it is for. Nobody asks the host that the redirect points to, and somebody can read
// which it is.
func TestNoRequestFollowsARedirect(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		address string
		ready   bool // although something is missing
	}{
		"the discovery document": {documentPath, false},
		"the keys":               {loginKeys, true},
		"the tokens":             {loginToken, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, network := atAnIssuer(t, nil)
			target := &url.URL{Scheme: "https", Host: "elsewhere.example.com", Path: "/new", RawQuery: "code=s3cr3t-in-a-query"}
			network.set(story.address, func(*http.Request) (int, string) { return http.StatusMovedPermanently, target.String() })
			w.start()
			ready, reason := metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable
			if story.ready {
				ready, reason = metav1.ConditionTrue, v1alpha1.ReasonTokenValid
			}
			w.Expect(w.expect(v1alpha1.ConditionReady, ready, reason)).To(And(
				ContainSubstring("HTTP 301, a redirect to elsewhere.example.com/new, which is not followed"), Not(ContainSubstring("s3cr3t"))))
			w.Expect(network.count("elsewhere.example.com/")).To(BeZero())
		})
	}
}

// TestADocumentThatNamesAddressesWithoutTLS is believed as far as that goes: an endpoint that nobody needs does no harm, the
// keys make the ID token one that cannot be verified, and credentials do not go to such an endpoint.
func TestADocumentThatNamesAddressesWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		member, address string
		status          metav1.ConditionStatus
		reason, says    string
		idToken         bool
	}{
		"an endpoint that is not needed": {"revocation_endpoint", "http://plain.example.com/revoke", metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "", true},
		"the keys":                       {"jwks_uri", "http://plain.example.com/keys", metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "jwks_uri", false},
		"the token endpoint":             {"token_endpoint", "http://plain.example.com/token", metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, "must be https", false},
	} {
		t.Run(name, func(t *testing.T) {
			w, network := atAnIssuer(t, nil)
			network.set(documentPath, says(strings.TrimSuffix(loginDocument, "}")+fmt.Sprintf(`,%q:%q}`, story.member, story.address)))
			w.start()
			w.Expect(w.expect(v1alpha1.ConditionReady, story.status, story.reason)).To(ContainSubstring(story.says))
			w.Expect(network.count("plain.example.com/")).To(BeZero())
			if story.status == metav1.ConditionTrue {
				_, has := w.token()["id_token"]
				w.Expect(has).To(Equal(story.idToken))
			}
		})
	}
}

// TestATokenThatIsNoneReplacesNoGoodOne renews with an answer whose refresh token is one space, or whose access token would
// split a header.
func TestATokenThatIsNoneReplacesNoGoodOne(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a refresh token of one space":       `{"access_token":"AT2-yyyyyyyyyyyyyyyyyyyy","token_type":"Bearer","expires_in":3600,"refresh_token":" "}`,
		"an access token of two lines":       `{"access_token":"AT2-yyyyyyyyyyyy\r\nX-Admin: yes","token_type":"Bearer","expires_in":3600,"refresh_token":"RT2-yyyyyyyyyyyyyyyyyyyy"}`,
		"a type of two lines":                `{"access_token":"AT2-yyyyyyyyyyyyyyyyyyyy","token_type":"Bearer\r\nX-Admin: yes","expires_in":3600}`,
		"an ID token with a zero at its end": `{"access_token":"AT2-yyyyyyyyyyyyyyyyyyyy","token_type":"Bearer","expires_in":3600,"id_token":"a.b.c\u0000"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w, network := atAnIssuer(t, func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.Rotation = v1alpha1.RotationStatic })
			w.start()
			w.expectReady()
			before := w.token()
			refresh := w.custody().RefreshToken
			network.set(loginToken, says(body))
			w.askToRenew(w.get())
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
			w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
			w.Expect(w.token()).To(Equal(before))
			w.Expect(w.custody().RefreshToken).To(Equal(refresh))
		})
	}
}

// TestAPageInsteadOfAnIdentityOpensNoCircuit: the host answers, so that nobody else has to wait for it.
func TestAPageInsteadOfAnIdentityOpensNoCircuit(t *testing.T) {
	const me = "api.example.com/me" // where nothing else is asked
	w, network := atAnIssuer(t, func(m *v1alpha1.Marketplace) {
		m.Spec.Identity = v1alpha1.Identity{Request: &v1alpha1.IdentityRequest{URL: "https://api.example.com/me", IDPath: "{.id}"}}
	})
	network.set(me, says("<!DOCTYPE html><html><body>We'll be back soon</body></html>"))
	for n := range 11 {
		w.account("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Name = fmt.Sprint("other-", n) })
	}
	w.start()
	w.expectReady()
	w.settle()
	w.Expect(network.count(me)).To(Equal(12), "each account asks for itself")
	w.Expect(w.gauge("tokenkeeper_token_host_circuits_open")).To(BeZero())
	w.annotate(v1alpha1.AnnotationVerify, "now")
	w.Eventually(func() string {
		if test := w.get().Status.ConnectionTest; test != nil {
			return test.Message
		}
		return ""
	}).Should(ContainSubstring("is not a JSON object"))
}
