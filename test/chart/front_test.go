package chart_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
	"github.com/tokenkeeper/tokenkeeper/test/wholebody"
)

// front stands before the portal, as an ingress does: its address is known before the operator runs.
type front struct {
	t   *testing.T
	url string
	to  atomic.Pointer[url.URL]
}

func startFront(t *testing.T) *front {
	t.Helper()
	f := &front{t: t}
	server := httptest.NewServer(wholebody.First(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(f.to.Load())
		r.Out.Host = r.In.Host
	}}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://localhost:" + port
	f.leadTo(server.URL) // nowhere, so far
	return f
}

func (f *front) leadTo(address string) {
	f.t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.to.Store(to)
}

// browser is one that is a mere HTTP client, which finds every host on this machine.
func (f *front) browser(trusted ...*authority.Authority) *http.Client {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, one := range trusted {
		pool.AddCert(one.Certificate)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: secureHere{jar}, Transport: transport}
}

// secureHere takes this machine for secure, as browsers do and net/http does not.
type secureHere struct{ *cookiejar.Jar }

func (j secureHere) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.Jar.SetCookies(overTLS(u), cookies)
}

func (j secureHere) Cookies(u *url.URL) []*http.Cookie { return j.Jar.Cookies(overTLS(u)) }

func overTLS(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}

// page is the page that a browser shows in the end, after all redirects.
func (f *front) page(browser *http.Client, method, address string, form url.Values) string {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", f.url)
	}
	response, err := browser.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		f.t.Fatalf("%s: %s, error %v\n%s", request.URL.Path, response.Status, err, text)
	}
	return html.UnescapeString(string(text))
}

// signIn follows the link of an account, and allows access at the marketplace.
func (f *front) signIn(s *shop, name, market string, trusted *authority.Authority) {
	f.t.Helper()
	platform := s.market.Platform(s.get(name).Spec.MarketplaceRef.Name)
	for _, client := range []string{clientOf(name), clientOf("shared")} { // that of the account, or of the Marketplace
		platform.AddRedirectURI(client, f.url+"/callback/"+platform.Name())
	}
	var link string
	eventually(f.t, func() error {
		if status := s.get(name).Status.SignIn; status != nil {
			link = status.URL
		}
		if link == "" {
			return fmt.Errorf("%s has no link: %s", name, s.says(name, v1alpha1.ConditionReauthRequired))
		}
		return nil
	})
	browser := f.browser(trusted)
	person := demomarket.Person{User: demomarket.DefaultUser, Password: demomarket.DefaultPassword}
	back, err := person.SignIn(f.t.Context(), browser, market, link)
	if err != nil {
		f.t.Fatal(err)
	}
	if page := f.page(browser, http.MethodGet, back.String(), nil); !strings.Contains(page, "Signed in at Allegro") {
		f.t.Errorf("the page says\n%s", page)
	}
}

// renew presses the button of an account twice, as a clerk who may do no more, so that the event of it is counted twice.
func (f *front) renew(s *shop, name, platform string) {
	f.t.Helper()
	browser := f.browser()
	path := "/accounts/" + s.namespace + "/" + name + "/renew"
	form := regexp.MustCompile(`action="` + path + `"><input type="hidden" name="form" value="([^"]+)"`)
	var found []string
	token := s.clerk()
	eventually(f.t, func() error {
		page := f.page(browser, http.MethodPost, f.url+"/session", url.Values{"token": {token}})
		if found = form.FindStringSubmatch(page); found == nil {
			return errors.New("the clerk sees no button in\n" + page)
		}
		return nil
	})
	for range 2 {
		before := string(s.token(name)[v1alpha1.TokenKeyAccessToken])
		f.page(browser, http.MethodPost, f.url+path, url.Values{"form": {found[1]}})
		s.expectHonoured(name, platform, before)
	}
}

// clerk makes a user with the right to press the buttons of accounts, and returns the user's token for the portal.
func (s *shop) clerk() string {
	s.t.Helper()
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "clerk", Namespace: s.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tokenkeeper-marketplaceaccount-operator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "clerk", Namespace: s.namespace}},
	})
	return s.bearer("clerk", "tokenkeeper")
}

// bearer makes a ServiceAccount, and returns a token of it: for the API server, or for others.
func (s *shop) bearer(name string, audiences ...string) string {
	s.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace}}
	s.create(account)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if err := s.SubResource("token").Create(s.t.Context(), account, request); err != nil {
		s.t.Fatal(err)
	}
	return request.Status.Token
}

// approve enters the code of an account at the marketplace.
func (s *shop) approve(name, platform string) {
	s.t.Helper()
	var code string
	eventually(s.t, func() error {
		if status := s.get(name).Status.SignIn; status != nil {
			code = status.UserCode
		}
		if code == "" {
			return fmt.Errorf("%s has no code: %s", name, s.says(name, v1alpha1.ConditionReauthRequired))
		}
		return nil
	})
	if err := s.market.Platform(platform).ApproveDevice(code, s.market.Platform(platform).OtherSeller().ID); err != nil {
		s.t.Fatal(err)
	}
}
