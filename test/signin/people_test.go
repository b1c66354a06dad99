package signin_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

// The people at the marketplace: user acts for each platform's seller, other for its second one.
const (
	user     = demomarket.DefaultUser
	other    = demomarket.OtherUser
	password = demomarket.DefaultPassword
)

// window opens a browser window.
func (w *world) window() *browser.Window {
	w.T.Helper()
	return chromium.Window(w.T)
}

// follow opens a link and goes on to the marketplace.
func (w *world) follow(window *browser.Window, link, marketplace string) {
	w.T.Helper()
	window.Open(link)
	window.Press("Continue to " + marketplace)
}

// picture takes pictures of a page as a phone and as a screen on a desk show it, when pictures are asked for.
func picture(window *browser.Window, name string) {
	if os.Getenv(browser.ScreenshotsVariable) == "" {
		return
	}
	window.Resize(390, 844)
	window.Screenshot(name + "-phone")
	window.Resize(1280, 800)
	window.Screenshot(name + "-desk")
}

// signIn does it all in a new window, as this user.
func (w *world) signIn(marketplace, as string) *browser.Window {
	w.T.Helper()
	window := w.window()
	w.follow(window, w.link(""), marketplace)
	window.LogIn(as, password)
	window.Allow()
	return window
}

// clerk makes a ServiceAccount that may do as much as authors of accounts, in some namespaces, and returns a token of the clerk's
// for the portal.
func (w *world) clerk(name string, namespaces ...string) string {
	w.T.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}}
	w.Create(account)
	for _, namespace := range namespaces {
		w.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tokenkeeper-marketplaceaccount-operator"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: w.Namespace}},
		})
		w.Eventually(func() bool { return w.may(name, namespace) }).Should(BeTrue())
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"tokenkeeper"}, ExpirationSeconds: new(int64(20 * 365 * day / time.Second)), // the story's clock is not the API server's
	}}
	w.Expect(kube.SubResource("token").Create(w.T.Context(), account, request)).To(Succeed())
	said.Secret(request.Status.Token)
	return request.Status.Token
}

// dismiss takes a clerk's rights in the story's namespace away.
func (w *world) dismiss(name string) {
	w.T.Helper()
	w.Expect(kube.Delete(w.T.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}})).To(Succeed())
	w.Eventually(func() bool { return w.may(name, w.Namespace) }).Should(BeFalse())
}

// may tells whether the API server knows of a clerk's rights in a namespace.
func (w *world) may(name, namespace string) bool {
	w.T.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + w.Namespace + ":" + name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Resource: "marketplaceaccounts", Verb: "operate", Namespace: namespace,
		},
	}}
	w.Expect(kube.Create(w.T.Context(), review)).To(Succeed())
	return review.Status.Allowed
}

// enter logs a visitor in to the portal.
func (w *world) enter(window *browser.Window, token string) {
	w.T.Helper()
	window.Open(w.front.url)
	window.Fill("Access token", token)
	window.Press("Show accounts")
	window.WantText("Logged in as " + w.Namespace + ":")
}

// site serves pages of a stranger on 127.0.0.1, which for browsers is another site than the portal's.
func (w *world) site(pages http.Handler) string {
	w.T.Helper()
	server := httptest.NewServer(pages)
	w.T.Cleanup(server.Close)
	return server.URL
}

// http is a browser that is a mere HTTP client.
func (w *world) http() *http.Client {
	w.T.Helper()
	jar, err := cookiejar.New(nil)
	w.Expect(err).NotTo(HaveOccurred())
	return &http.Client{Jar: secureHere{jar}}
}

// secureHere takes this machine for secure, as browsers do and net/http does not.
type secureHere struct{ *cookiejar.Jar }

func (j secureHere) SetCookies(u *url.URL, cookies []*http.Cookie) {
	https := *u
	https.Scheme = "https"
	j.Jar.SetCookies(&https, cookies)
}

func (j secureHere) Cookies(u *url.URL) []*http.Cookie {
	https := *u
	https.Scheme = "https"
	return j.Jar.Cookies(&https)
}

// status is the HTTP status with which the portal answers in the end, after all redirects.
func (w *world) status(client *http.Client, method, path string, form url.Values) int {
	w.T.Helper()
	body := io.Reader(http.NoBody)
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(w.T.Context(), method, w.front.url, body)
	w.Expect(err).NotTo(HaveOccurred())
	request.URL.Opaque = strings.TrimPrefix(w.front.url, "http:") + path // as it stands
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	w.Expect(err).NotTo(HaveOccurred(), path)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	w.Expect(err).NotTo(HaveOccurred())
	return response.StatusCode
}
