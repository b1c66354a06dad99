package portal_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// noon is when the stories begin.
var noon = time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC)

// Tokens that the cluster of a world knows.
const (
	adminToken  = "admin-token-0123456789"
	clerkToken  = "clerk-token-0123456789"
	viewerToken = "viewer-token-0123456789"
	portalToken = "portal-token-0123456789" // the clerk's, for the audience tokenkeeper alone
	nobodyToken = "nobody-token-0123456789"
)

// world is a portal, a cluster that knows a few people, and sign-ins that end as the test says.
type world struct {
	t       *testing.T
	server  *httptest.Server
	address signin.Address
	clock   *clocktesting.FakePassiveClock
	signIns *signIns
	cluster *cluster
	log     *journal
	told    *told
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	return newWorldAt(t, func(address string) signin.Address { return signin.Address(address) }, objects...)
}

// newWorldAt makes a world in which the portal has another address than its server.
func newWorldAt(t *testing.T, address func(server string) signin.Address, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		t: t, clock: clocktesting.NewFakePassiveClock(noon), signIns: newSignIns(), cluster: newCluster(t, objects...), log: &journal{}, told: &told{},
	}
	w.server = httptest.NewUnstartedServer(nil)
	w.address = address("https://" + w.server.Listener.Addr().String())
	served, err := portal.New(portal.Options{
		Address: w.address, SignIns: w.signIns, Reader: w.cluster, Writer: w.cluster, Recorder: w.told,
		Clock: w.clock, Random: rand.Reader, Log: funcr.New(w.log.line, funcr.Options{Verbosity: 10}),
	})
	if err != nil {
		t.Fatal(err)
	}
	portal.PressedFor(served, 0)
	w.server.Config.Handler = served
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	t.Cleanup(func() { w.log.check(t) })
	return w
}

// told are the events that a portal has emitted: of which account, about which user, and what they say.
type told struct {
	mu     sync.Mutex
	events []string
}

func (r *told) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	account, user := regarding.(*corev1.ObjectReference), related.(*corev1.ObjectReference)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf("%s/%s %s %s %s [%s %s] %s", account.Namespace, account.Name, kind, reason, action, user.Kind, user.Name, fmt.Sprintf(note, args...)))
}

// journal is the log of a portal.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) line(prefix, args string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, prefix+" "+args)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// check looks for what must never be logged.
func (j *journal) check(t *testing.T) {
	t.Helper()
	for _, secret := range []string{"token-0123456789", "ticket", "secret", "https:", "http:", "state=", "code=", "/sign-in/", "/callback/"} {
		if strings.Contains(j.text(), secret) {
			t.Errorf("the log says %q:\n%s", secret, j.text())
		}
	}
}

// cluster answers reviews, and holds accounts.
type cluster struct {
	client.Client
	mu      sync.Mutex
	users   map[string]string // user by token
	rights  map[string][]string
	revoked map[string]bool
	down    error
	reviews int
	asked   []string // access reviews: "user verb namespace/name"
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{
		users: map[string]string{
			adminToken: "admin", clerkToken: "clerk", viewerToken: "viewer", nobodyToken: "nobody",
		},
		rights: map[string][]string{ // "verb namespace/name", with * for any
			"admin":  {"list /", "operate /", "patch /"},
			"clerk":  {"list shop/", "patch shop/"},
			"viewer": {"list shop/"},
		},
		revoked: map[string]bool{},
	}
	c.Client = interceptor.NewClient(
		fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), interceptor.Funcs{Create: c.create})
	return c
}

func (c *cluster) create(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != nil {
		return c.down
	}
	switch object := object.(type) {
	case *authenticationv1.TokenReview:
		c.reviews++
		user := c.users[object.Spec.Token]
		if object.Spec.Token == portalToken && slices.Equal(object.Spec.Audiences, []string{"tokenkeeper"}) {
			user = "clerk"
			object.Status.Audiences = object.Spec.Audiences
		} else if len(object.Spec.Audiences) > 0 {
			user = ""
		}
		if user != "" && !c.revoked[object.Spec.Token] {
			object.Status.Authenticated = true
			object.Status.User.Username = user
		}
		return nil
	case *authorizationv1.SubjectAccessReview:
		on := object.Spec.ResourceAttributes
		c.asked = append(c.asked, fmt.Sprintf("%s %s %s/%s", object.Spec.User, on.Verb, on.Namespace, on.Name))
		for _, right := range c.rights[object.Spec.User] {
			verb, where, _ := strings.Cut(right, " ")
			namespace, name, _ := strings.Cut(where, "/")
			if verb == on.Verb && (namespace == "" || namespace == on.Namespace) && (name == "" || name == on.Name) {
				object.Status.Allowed = on.Group == "tokenkeeper.dev" && on.Resource == "marketplaceaccounts"
			}
		}
		return nil
	}
	return fmt.Errorf("nobody creates a %T", object)
}

// account reads one as it is now.
func (c *cluster) account(t *testing.T, namespace, name string) *v1alpha1.MarketplaceAccount {
	t.Helper()
	var account v1alpha1.MarketplaceAccount
	if err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &account); err != nil {
		t.Fatal(err)
	}
	return &account
}

// handle does what an account asks for as soon as it asks, as the operator does.
func (c *cluster) handle(namespace, name string, do func(*v1alpha1.MarketplaceAccount)) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	for {
		var account v1alpha1.MarketplaceAccount
		if err := c.Get(context.Background(), key, &account); err != nil {
			return
		}
		if len(account.Annotations) == 0 {
			<-time.After(time.Millisecond)
			continue
		}
		account.Status.Handled = &v1alpha1.HandledStatus{
			Renew: account.Annotations[v1alpha1.AnnotationRenew], Verify: account.Annotations[v1alpha1.AnnotationVerify],
		}
		do(&account)
		_ = c.Update(context.Background(), &account)
		return
	}
}

// signIns knows the tickets it is given, and answers as it is told.
type signIns struct {
	mu       sync.Mutex
	offers   map[string]signin.Offer // by ticket
	code     signin.Code
	visit    signin.Visit
	outcome  signin.Outcome
	err      error // of everything
	calls    []string
	store    url.Values
	query    url.Values
	cookie   string // the one that Complete asks for
	seen     string // its value
	visits   []string
	complete func(ctx context.Context) error
}

func newSignIns() *signIns {
	return &signIns{offers: map[string]signin.Offer{}, visit: signin.Visit{
		URL: "https://market.example/authorize?client_id=a&state=b%20c", CookieName: signin.CookieName("a state"), CookieValue: "visit-secret",
		ExpiresAt: noon.Add(signin.VisitLife),
	}}
}

const goodTicket = "a-good-ticket-of-43-characters-0123456789ab"

// offering makes a ticket for an account.
func (s *signIns) offering(offer signin.Offer) *signIns {
	s.offers[goodTicket] = offer
	return s
}

func (s *signIns) called(what string) {
	s.calls = append(s.calls, what)
}

func (s *signIns) Invite(_ context.Context, account types.NamespacedName) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Invite " + account.String())
	if s.err != nil {
		return "", s.err
	}
	s.offers[goodTicket] = signin.Offer{Account: signin.Account{Namespace: account.Namespace, Name: account.Name, Marketplace: "Allegro"}}
	return goodTicket, nil
}

func (s *signIns) Code(_ context.Context, account types.NamespacedName) (signin.Code, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Code " + account.String())
	return s.code, s.err
}

func (s *signIns) Offer(_ context.Context, account types.NamespacedName, ticket string) (signin.Offer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Offer")
	offer, found := s.offers[ticket]
	switch {
	case s.err != nil:
		return signin.Offer{}, s.err
	case !found || offer.Namespace != account.Namespace || offer.Name != account.Name:
		return signin.Offer{}, &signin.Error{Problem: signin.LinkInvalid}
	}
	return offer, nil
}

func (s *signIns) Begin(_ context.Context, account types.NamespacedName, ticket string, store url.Values) (signin.Visit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Begin " + account.String())
	if s.err != nil {
		return signin.Visit{}, s.err
	}
	delete(s.offers, ticket)
	s.store = store
	return s.visit, nil
}

func (s *signIns) Complete(ctx context.Context, marketplace string, query url.Values, cookie func(string) string) (signin.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Complete " + marketplace)
	s.query = query
	if s.cookie != "" {
		s.seen = cookie(s.cookie)
	}
	if s.complete != nil {
		if err := s.complete(ctx); err != nil {
			return signin.Outcome{}, err
		}
	}
	return s.outcome, s.err
}

func (s *signIns) Decline(_ context.Context, marketplace string, visits []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called("Decline " + marketplace)
	s.visits = visits
	if s.err != nil {
		return s.err
	}
	return &signin.Error{Problem: signin.ConsentDenied}
}

func (s *signIns) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, call := range s.calls {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

// browser is what a visitor looks at the pages with. It follows no redirect by itself.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
	// Language is sent with each request.
	Language string
	// Site is the Sec-Fetch-Site of forms.
	Site string
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	visitor := *w.server.Client()
	visitor.Jar = jar
	visitor.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: w.t, base: w.server.URL, client: &visitor, Site: "same-origin"}
}

// enter returns a browser in which somebody has a session.
func (w *world) enter(token string) *browser {
	w.t.Helper()
	b := w.browser()
	if answer := b.post("/session", url.Values{"token": {token}}); answer.status != http.StatusSeeOther {
		w.t.Fatalf("entering gives %d:\n%s", answer.status, answer.text)
	}
	return b
}

// answer is what a browser got.
type answer struct {
	status   int
	header   http.Header
	cookies  []*http.Cookie
	text     string
	location string
}

func (b *browser) get(path string, headers ...string) *answer {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil, headers...)
}

func (b *browser) post(path string, form url.Values, headers ...string) *answer {
	b.t.Helper()
	return b.send(http.MethodPost, path, strings.NewReader(form.Encode()), headers...)
}

func (b *browser) send(method, path string, body io.Reader, headers ...string) *answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", "null") // as browsers send it from a page with the policy no-referrer
		if b.Site != "" {
			request.Header.Set("Sec-Fetch-Site", b.Site)
		}
	}
	if b.Language != "" {
		request.Header.Set("Accept-Language", b.Language)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	checkAnswer(b.t, method+" "+path, response.StatusCode, response.Header, string(text))
	return &answer{response.StatusCode, response.Header, response.Cookies(), string(text), response.Header.Get("Location")}
}

// follow goes where an answer sends the browser.
func (b *browser) follow(a *answer) *answer {
	b.t.Helper()
	path := strings.TrimPrefix(a.location, b.base)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(path, "/") {
		b.t.Fatalf("this leads nowhere: %d %q\n%s", a.status, a.location, a.text)
	}
	return b.get(path)
}

// press sends the form of a page whose action is the path.
func (b *browser) press(a *answer, path string) *answer {
	b.t.Helper()
	form, found := formTo(a.text, path)
	if !found {
		b.t.Fatalf("there is no form to %s:\n%s", path, a.text)
	}
	return b.post(path, form)
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	fieldPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// formTo returns the hidden fields of the first form that goes to a path.
func formTo(page, path string) (fields url.Values, found bool) {
	for _, form := range formPattern.FindAllStringSubmatch(page, -1) {
		if html.UnescapeString(form[1]) != path {
			continue
		}
		fields = url.Values{}
		for _, field := range fieldPattern.FindAllStringSubmatch(form[0], -1) {
			fields.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
		}
		return fields, true
	}
	return nil, false
}

// cookie returns the cookie that an answer sets, by the beginning of its name; nil when it sets none.
func (a *answer) cookie(prefix string) *http.Cookie {
	for _, cookie := range a.cookies {
		if strings.HasPrefix(cookie.Name, prefix) {
			return cookie
		}
	}
	return nil
}

// expect checks an answer's status, and that its page says all of something.
func (a *answer) expect(t *testing.T, status int, says ...string) *answer {
	t.Helper()
	if a.status != status {
		t.Errorf("the status is %d, want %d", a.status, status)
	}
	for _, text := range says {
		if !strings.Contains(html.UnescapeString(a.text), text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("%s", stylePattern.ReplaceAllString(a.text, ""))
	}
	return a
}

// without checks that a page does not say something.
func (a *answer) without(t *testing.T, texts ...string) *answer {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.text, text) {
			t.Errorf("the page says %q:\n%s", text, stylePattern.ReplaceAllString(a.text, ""))
		}
	}
	return a
}

// change alters an account that a test begins with.
type change func(*v1alpha1.MarketplaceAccount)

// account is one that works: shop/<name> at the Marketplace allegro, with a grant that a browser signs in.
func account(name string, changes ...change) *v1alpha1.MarketplaceAccount {
	a := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef: v1alpha1.MarketplaceReference{Name: "allegro"},
			Environment:    "Production",
			Grant:          v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode},
			Renewal:        v1alpha1.Renewal{Policy: v1alpha1.RenewalAutomatic},
		},
	}
	says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)(a)
	says(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)(a)
	says(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)(a)
	says(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)(a)
	a.Status.AccessToken = &v1alpha1.AccessTokenStatus{ExpirationTime: metav1.NewTime(noon.Add(8*time.Hour + 30*time.Minute))}
	for _, change := range changes {
		change(a)
	}
	return a
}

func in(namespace string) change {
	return func(a *v1alpha1.MarketplaceAccount) { a.Namespace = namespace }
}

func withGrant(grant v1alpha1.GrantType) change {
	return func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.Type = grant }
}

func says(condition string, status metav1.ConditionStatus, reason string) change {
	return func(a *v1alpha1.MarketplaceAccount) {
		said := metav1.Condition{Type: condition, Status: status, Reason: reason, Message: "Message of " + condition}
		for i := range a.Status.Conditions {
			if a.Status.Conditions[i].Type == condition {
				a.Status.Conditions[i] = said
				return
			}
		}
		a.Status.Conditions = append(a.Status.Conditions, said)
	}
}

// ending makes the authorization end; the condition is that of the default warning.
func ending(after time.Duration) change {
	return func(a *v1alpha1.MarketplaceAccount) {
		days := int32(max(after, 0) / (24 * time.Hour))
		a.Status.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: metav1.NewTime(noon.Add(after)), DaysRemaining: &days}
		if after <= 14*24*time.Hour {
			says(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring)(a)
		}
	}
}

// stuck makes an account need a person.
func stuck(reason string) change {
	return func(a *v1alpha1.MarketplaceAccount) {
		says(v1alpha1.ConditionReady, metav1.ConditionFalse, reason)(a)
		says(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, reason)(a)
		says(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, reason)(a)
	}
}

func marketplace(name, displayName string) *v1alpha1.Marketplace {
	m := &v1alpha1.Marketplace{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.MarketplaceSpec{DisplayName: displayName}}
	m.Spec.AuthorizationRequest.Callback.AccountID = "selling_partner_id"
	return m
}

// marshal is for cookies that a test makes up.
func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(text)
}

func objectsOf(accounts []*v1alpha1.MarketplaceAccount) []client.Object {
	objects := make([]client.Object, 0, len(accounts))
	for _, account := range accounts {
		objects = append(objects, account)
	}
	return objects
}

// formToken is that of a form which the portal would not show to whoever has the token, so that nothing but his rights
// keeps him from sending it.
func (w *world) formToken(token, path string) string {
	mac := hmac.New(sha256.New, []byte(token))
	fmt.Fprintf(mac, "form of the portal %s\n%s", w.address, path)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
