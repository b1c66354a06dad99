package controller_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// reply is an answer of a platform as bytes.
type reply struct {
	status      int
	contentType string
	body        string
	// lost tells that no answer comes.
	lost bool
}

var (
	tokens   = reply{status: 200, contentType: "application/json", body: `{"access_token":"AT-xxxxxxxxxxxxxxxxxxxx","token_type":"Bearer","expires_in":3600}`}
	firewall = reply{status: 403, contentType: "text/plain", body: "error code: 1020"}
	noAnswer = reply{lost: true}
)

// script is a platform that answers as it is told: the first reply first, the last one for ever.
type script struct {
	address string

	mu      sync.Mutex
	replies []reply
	of      map[string]reply // by client_id, whatever else is answered
	asked   []string         // by whom: the client_id, or the user
}

// scripted starts a platform, and makes a Marketplace of it.
func (w *world) scripted(replies ...reply) *script {
	w.T.Helper()
	s := &script{replies: replies}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	w.T.Cleanup(server.Close)
	s.address = server.URL
	w.marketplace("xsale", func(m *v1alpha1.Marketplace) {
		m.Spec.Grants = append(m.Spec.Grants, v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken)
		m.Spec.Endpoints = v1alpha1.Endpoints{Token: v1alpha1.URLTemplate(s.address + "/token")}
		m.Spec.TokenRequest = v1alpha1.TokenRequest{ClientAuthentication: v1alpha1.ClientAuthenticationBody}
		m.Spec.TokenResponse, m.Spec.Identity, m.Spec.Scopes = v1alpha1.TokenResponse{}, v1alpha1.Identity{}, v1alpha1.Scopes{}
	})
	return s
}

func (s *script) serve(response http.ResponseWriter, request *http.Request) {
	_ = request.ParseForm()
	s.mu.Lock()
	who := request.PostForm.Get("client_id")
	if user := request.PostForm.Get("username"); user != "" {
		who = user + ":" + request.PostForm.Get("password")
	}
	s.asked = append(s.asked, who)
	next, fixed := s.of[who]
	if !fixed {
		next = s.replies[0]
		s.replies = s.replies[min(1, len(s.replies)-1):]
	}
	s.mu.Unlock()
	if next.lost {
		connection, _, err := response.(http.Hijacker).Hijack()
		if err == nil {
			_ = connection.Close()
		}
		return
	}
	response.Header().Set("Content-Type", next.contentType)
	response.WriteHeader(next.status)
	_, _ = fmt.Fprint(response, next.body)
}

// answer makes the platform go on like this.
func (s *script) answer(replies ...reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = replies
}

// calls is how many requests there were, or how many in this name.
func (s *script) calls(who ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(who) == 0 {
		return len(s.asked)
	}
	n := 0
	for _, asked := range s.asked {
		if asked == who[0] {
			n++
		}
	}
	return n
}

// loginAt prepares an account that logs in at a scripted platform.
func (w *world) loginAt(replies ...reply) *script {
	w.T.Helper()
	platform := w.scripted(replies...)
	w.application()
	w.secret("login", map[string]string{"username": "seller", "password": "a-password-of-mine"})
	w.account("xsale", v1alpha1.GrantPassword)
	return platform
}

func TestALoginThatAFirewallKeepsOutIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, denial := range map[string]reply{
		"a firewall's text":       firewall,
		"a firewall's page":       {status: 403, contentType: "text/html", body: "<html>Access denied</html>"},
		"nothing":                 {status: 403},
		"JSON without a code":     {status: 403, contentType: "application/json", body: `{"message":"Forbidden"}`},
		"401 and a challenge":     {status: 401, contentType: "text/plain", body: "Unauthorized"},
		"JSON that is cut":        {status: 401, contentType: "application/json", body: `{"error":`},
		"a description by itself": {status: 401, contentType: "application/json", body: `{"error_description":"user is blocked"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			platform := w.loginAt(denial, tokens)
			w.start()
			message := w.expectUnavailable()
			w.Expect(message).To(And(ContainSubstring("firewall"), ContainSubstring("locks a login"), ContainSubstring("next attempt not before 2026-03-02 09:01:00 UTC")))
			w.pass(59 * time.Second)
			w.Expect(platform.calls()).To(Equal(1))
			w.pass(time.Second)
			w.expectReady()
			w.Expect(platform.calls()).To(Equal(2))
			w.Expect(w.custody().Logins.Doubts).To(BeEmpty())
		})
	}
}

func (w *world) expectUnavailable() string {
	w.T.Helper()
	return w.expect(v1alpha1.ConditionAuthenticated, "Unknown", v1alpha1.ReasonMarketplaceUnavailable)
}

func (w *world) expectLocked() string {
	w.T.Helper()
	return w.expect(v1alpha1.ConditionAuthenticated, "False", v1alpha1.ReasonAccountLocked)
}

func TestTheFourthDenialOfALoginIsALock(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall)
	w.start()
	w.expectUnavailable()
	for i, wait := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		// Neither a restart, nor a request, nor edits without content shorten the wait.
		w.start()
		w.annotate(v1alpha1.AnnotationRenew, fmt.Sprint("now", i))
		w.edit(func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Renewal.Before = v1alpha1.Duration(fmt.Sprintf("%dm", 20+i))
		})
		w.tools("login")
		w.pass(wait - time.Second)
		w.Expect(platform.calls()).To(Equal(i+1), "before the wait of %v is over", wait)
		w.pass(time.Second)
		w.Eventually(platform.calls).Should(Equal(i + 2))
	}
	message := w.expectLocked()
	w.Expect(message).To(And(ContainSubstring("for the 4th time"), ContainSubstring("a firewall keeps the operator out"), ContainSubstring("has locked the login"),
		ContainSubstring(`annotate its Secret (Secret "login") with tokenkeeper.dev/retry=<anything new>`)))
	w.expect(v1alpha1.ConditionReauthRequired, "True", v1alpha1.ReasonAccountLocked)
	w.tools("login")
	w.start()
	w.annotate(v1alpha1.AnnotationRenew, "again")
	w.pass(48 * time.Hour)
	w.Expect(platform.calls()).To(Equal(4))

	w.retry("login", "1")
	w.Eventually(platform.calls).Should(Equal(5))
	w.expectLocked()
	w.retry("login", "")
	w.pass(48 * time.Hour)
	w.Expect(platform.calls()).To(Equal(5), "one attempt for each new value")

	platform.answer(tokens)
	w.retry("login", "2")
	w.expectReady()
	w.Expect(platform.calls()).To(Equal(6))
}

func TestARequestDuringTheWaitOfALogin(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall)
	w.start()
	w.expectUnavailable()
	w.retry("login", "1")
	w.Eventually(platform.calls).Should(Equal(2))
	w.settle()
	w.retry("login", "")
	w.pass(10*time.Minute - time.Second)
	w.Expect(platform.calls()).To(Equal(2), "the second wait")
	w.pass(time.Second)
	w.Eventually(platform.calls).Should(Equal(3))

	// Another password is another login.
	w.settle()
	w.editSecret("login", map[string]string{"password": "another-password-of-mine"})
	w.Eventually(platform.calls).Should(Equal(4))
	w.settle()
	w.editSecret("login", map[string]string{"password": "a-password-of-mine"})
	w.settle()
	w.pass(59 * time.Minute)
	w.Expect(platform.calls()).To(Equal(4), "the first one still waits")
}

func TestDenialsBetweenOtherFailures(t *testing.T) {
	w := newWorld(t)
	later := reply{status: 429, contentType: "application/json", body: `{"error":"slow_down"}`}
	platform := w.loginAt(firewall, later, firewall, later, firewall, later, firewall)
	w.start()
	for range 14 {
		w.pass(time.Hour)
	}
	w.expectLocked()
	w.Expect(platform.calls()).To(Equal(7))
}

// A code is the platform's word, whatever stood before it.
func TestACodeAfterADenialIsTheLast(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall, reply{status: 400, contentType: "application/json", body: `{"error":"invalid_grant"}`})
	w.start()
	w.pass(time.Minute)
	w.expect(v1alpha1.ConditionAuthenticated, "False", v1alpha1.ReasonPasswordRejected)
	w.pass(48 * time.Hour)
	w.Expect(platform.calls()).To(Equal(2))
}

func TestALoginThatNeverWorkedIsTriedFourTimesWhileAnswersAreLost(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(noAnswer)
	w.start()
	for range 20 {
		w.pass(time.Minute)
	}
	w.Eventually(platform.calls).Should(Equal(4))
	w.start()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before = "20m" })
	w.pass(23 * time.Hour)
	w.Expect(platform.calls()).To(Equal(4))
	w.expectUnavailable()
	w.pass(time.Hour)
	w.Eventually(platform.calls).Should(Equal(5), "once a day")
	platform.answer(tokens)
	w.retry("login", "1")
	w.expectReady()
}

func TestALoginThatWorkedIsTriedWithoutABound(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(tokens, noAnswer)
	w.start()
	w.expectReady()
	for range 30 {
		w.pass(11 * time.Minute)
	}
	w.Expect(platform.calls()).To(BeNumerically(">", 15))
	platform.answer(tokens)
	w.pass(13 * time.Minute)
	w.expectReady()
}

// second makes another account that logs in as this user.
func (w *world) second(user, password string) client.ObjectKey {
	w.T.Helper()
	w.secret("second-login", map[string]string{"username": user, "password": password})
	account := w.account("xsale", v1alpha1.GrantPassword, named("second"), func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant.Password.SecretRef.Name = "second-login"
	})
	return client.ObjectKeyFromObject(account)
}

// says waits for what Ready says of an account: its reason.
func (w *world) says(account client.ObjectKey, reason string) {
	w.T.Helper()
	w.Eventually(func() string {
		object := &v1alpha1.MarketplaceAccount{}
		w.Expect(kube.Get(w.T.Context(), account, object)).To(Succeed())
		if condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady); condition != nil {
			return condition.Reason
		}
		return "nothing"
	}).Should(Equal(reason))
}

func TestOfSeveralAccountsWithOneUserOneAloneAsksAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{"the same password": "a-password-of-mine", "another password": "another-password-of-mine"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			platform := w.loginAt(firewall)
			w.start()
			w.expectUnavailable()
			second := w.second("seller", password)
			w.settle()
			w.says(second, v1alpha1.ReasonMarketplaceUnavailable)
			w.start() // and after a restart
			w.pass(59 * time.Second)
			w.Expect(platform.calls()).To(Equal(1))
			w.pass(time.Second)
			w.Eventually(platform.calls).Should(Equal(2))
			platform.answer(tokens)
			w.pass(10 * time.Minute)
			w.expectReady()
			w.says(second, v1alpha1.ReasonTokenValid)
			w.Expect(platform.calls()).To(Equal(4))
		})
	}
}

func TestALockIsOneForAllAccountsWithTheLogin(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall)
	w.start()
	second := w.second("seller", "a-password-of-mine")
	w.start()
	for range 4 {
		w.pass(time.Hour)
	}
	w.expectLocked()
	w.says(second, v1alpha1.ReasonAccountLocked)
	w.pass(24 * time.Hour)
	w.Expect(platform.calls()).To(Equal(4))

	// A request on its own Secret is an attempt of its own, and a success lets all in.
	platform.answer(tokens)
	w.tag(w.readSecret("second-login"), "annotations", v1alpha1.AnnotationRetry, "1")
	w.says(second, v1alpha1.ReasonTokenValid)
	w.Expect(platform.calls()).To(Equal(5))
	w.expectLocked()
	w.retry("login", "1")
	w.expectReady()
}

func TestAnotherUserIsNotHeldUp(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall)
	w.start()
	w.expectUnavailable()
	platform.answer(tokens)
	w.says(w.second("another seller", "a-password-of-mine"), v1alpha1.ReasonTokenValid)
	w.expectUnavailable()
}

func TestTheAccountThatAskedLeaves(t *testing.T) {
	w := newWorld(t)
	platform := w.loginAt(firewall)
	w.start()
	w.expectUnavailable()
	second := w.second("seller", "a-password-of-mine")
	w.says(second, v1alpha1.ReasonMarketplaceUnavailable)
	platform.answer(tokens)
	w.Delete(w.get())
	w.settle()
	w.pass(30 * time.Second)
	w.says(second, v1alpha1.ReasonTokenValid)
}

func TestTwelveAccountsWithOneWrongPassword(t *testing.T) {
	w := newWorld(t)
	w.workers = 64
	platform := w.loginAt(reply{status: 400, contentType: "application/json", body: `{"error":"invalid_grant"}`})
	for i := range 11 {
		w.account("xsale", v1alpha1.GrantPassword, named(fmt.Sprintf("more-%d", i)))
	}
	w.start()
	for i := range 11 {
		w.says(client.ObjectKey{Namespace: w.Namespace, Name: fmt.Sprintf("more-%d", i)}, v1alpha1.ReasonPasswordRejected)
	}
	w.pass(24 * time.Hour)
	w.Expect(platform.calls()).To(Equal(1))
	platform.answer(tokens)
	w.editSecret("login", map[string]string{"password": "the-right-password"})
	for i := range 11 {
		w.says(client.ObjectKey{Namespace: w.Namespace, Name: fmt.Sprintf("more-%d", i)}, v1alpha1.ReasonTokenValid)
	}
	w.Expect(platform.calls()).To(Equal(13))
}
