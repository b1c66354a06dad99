package controller_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about an operator that starts again: it reads no Secret of which its grant Secrets and its caches tell enough, and notices
// all the same what changed while it was away.

// secretsRead is how many Secrets the operator has read by themselves since it was started.
func (w *world) secretsRead() int { return w.traffic.counted()[http.MethodGet+" secrets"] }

// readsOfARestart is how many Secrets an operator reads that starts while the account works and nothing has changed. It ends that operator.
func (w *world) readsOfARestart() int {
	w.T.Helper()
	w.start()
	w.expectReady()
	w.settle()
	w.start()
	defer w.stop()
	return w.secretsRead()
}

// fill adds accounts of four grants, each with Secrets of its own.
func (w *world) fill(name string) {
	w.T.Helper()
	allegro, ebay := w.Market.Platform("allegro"), w.Market.Platform("ebay")
	w.secret(name+"-app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret, "client_secret_expires_at": "2027-01-01T00:00:00Z"})
	w.secret(name+"-login", map[string]string{"username": demomarket.DefaultUser, "password": demomarket.DefaultPassword})
	w.secret(name+"-rotating", map[string]string{"refresh_token": allegro.Grant(allegro.Seller().ID)})
	w.secret(name+"-static", map[string]string{"refresh_token": ebay.Grant(ebay.Seller().ID), "granted_at": "2026-02-01T00:00:00Z"})
	secret := func(kind string) v1alpha1.SecretReference { return v1alpha1.SecretReference{Name: name + "-" + kind} }
	for kind, with := range map[string]struct {
		platform string
		grant    v1alpha1.Grant
	}{
		"rotating": {"allegro", v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken, RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: secret("rotating")}}},
		"static":   {"ebay", v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken, RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: secret("static")}}},
		"login":    {"xsale", v1alpha1.Grant{Type: v1alpha1.GrantPassword, Password: &v1alpha1.PasswordGrant{SecretRef: secret("login")}}},
		"own":      {"ebay", v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials}},
	} {
		w.account(with.platform, with.grant.Type, named(name+"-"+kind), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Grant, a.Spec.ApplicationSecretRef = with.grant, secret("app")
		})
	}
}

// TestARestartReadsNothingItKnows: however many accounts there are, and whichever their grants.
func TestARestartReadsNothingItKnows(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	for _, platform := range []string{"allegro", "ebay", "xsale"} {
		w.marketplace(platform)
	}
	reads := map[int]int{}
	for _, many := range []int{1, 8} {
		for i := range many {
			w.fill(fmt.Sprintf("a%d-%d", many, i))
		}
		w.start()
		accounts := 4 * (len(reads) + many)
		w.Eventually(w.readyAccounts).Should(HaveLen(accounts))
		w.settle()
		calls := w.calls("allegro") + w.calls("ebay") + w.calls("xsale")
		for range 3 { // the first restarts tell each account of the other accounts of its seller
			w.start()
			t.Logf("%d accounts: %v", accounts, w.traffic.counted())
		}
		w.Expect(w.calls("allegro") + w.calls("ebay") + w.calls("xsale")).To(Equal(calls))
		w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
		reads[many] = w.secretsRead()
	}
	w.Expect(reads[8]).To(Equal(reads[1]))
	w.Expect(reads[8]).To(BeNumerically("<=", 2), "the Secret with the key of custody")

	// What is recalled is enough to tell people as much as before, a day later.
	before := w.Get("a1-0-static").Status
	w.Expect(before.Application.DaysRemaining).NotTo(BeNil())
	w.pass(24 * time.Hour)
	w.Eventually(func() int32 { return *w.Get("a1-0-static").Status.Application.DaysRemaining }).Should(Equal(*before.Application.DaysRemaining - 1))
	w.Expect(w.Get("a1-0-static").Status.Authorization.ExpirationTime).To(Equal(before.Authorization.ExpirationTime))
}

// restartedReading starts the operator again, and expects it to have read as many Secrets of this account.
func (w *world) restartedReading(secrets int) {
	w.T.Helper()
	w.start()
	w.Expect(w.secretsRead()).To(Equal(secrets), "%v", w.traffic.counted())
}

// TestWhatChangedWhileTheOperatorWasAway is noticed at the restart.
func TestWhatChangedWhileTheOperatorWasAway(t *testing.T) {
	t.Parallel()
	const importing, login = v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword
	edited := func(secret string, values map[string]string) func(*world) {
		return func(w *world) { w.editSecret(secret, values) }
	}
	removed := func(secret string) func(*world) {
		return func(w *world) { w.Delete(w.readSecret(secret)) }
	}
	says := func(condition string, status metav1.ConditionStatus, reason string) func(*world) {
		return func(w *world) { w.expect(condition, status, reason) }
	}
	asked := func(w *world) {
		w.Eventually(func() int { return w.calls("ebay") + w.calls("xsale") }).Should(Equal(2))
	}
	nothing := func(w *world) {
		w.expectAuthenticated()
		w.Expect(w.calls("ebay") + w.calls("xsale")).To(Equal(1))
		w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	}
	for name, story := range map[string]struct {
		grant  v1alpha1.GrantType
		change func(*world)
		read   int // Secrets by themselves
		then   func(*world)
	}{
		"nothing":                             {importing, func(*world) {}, 0, nothing},
		"a label of the application's Secret": {importing, func(w *world) { w.tag(w.readSecret("app"), "labels", "team", "shop") }, 1, nothing},
		"a label of the Secret with the refresh token": {importing, func(w *world) { w.tag(w.readSecret("import"), "labels", "team", "shop") }, 1, nothing},
		"the client secret":                            {importing, edited("app", map[string]string{"client_secret": "another"}), 1, nothing},
		"the application":                              {importing, edited("app", map[string]string{"client_id": "another"}), 1, says(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonSignInRequired)},
		"the end of the client secret": {importing, edited("app", map[string]string{"client_secret_expires_at": "2026-04-01T00:00:00Z"}), 1, func(w *world) {
			w.Eventually(func() *v1alpha1.ApplicationStatus { return w.get().Status.Application }).ShouldNot(BeNil())
		}},
		"a value that cannot be read":               {importing, edited("app", map[string]string{"client_id": ""}), 1, says(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)},
		"the application's Secret is gone":          {importing, removed("app"), 0, says(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretNotFound)},
		"its label does not allow the use":          {importing, func(w *world) { w.tag(w.readSecret("app"), "labels", v1alpha1.LabelUse, "") }, 0, says(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)},
		"the Secret with the refresh token is gone": {importing, removed("import"), 0, nothing},
		"another refresh token": {importing, func(w *world) {
			market := w.Market.Platform("ebay")
			w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		}, 3, asked},
		"when the person consented": {importing, edited("import", map[string]string{"granted_at": "2026-01-02T03:04:05Z"}), 1, func(w *world) {
			w.Eventually(func() string { return w.get().Status.Authorization.GrantedTime.UTC().Format(time.RFC3339) }).Should(Equal("2026-01-02T03:04:05Z"))
		}},
		"the user name": {login, edited("login", map[string]string{"username": "another"}), 3, asked},
		"the password":  {login, edited("login", map[string]string{"password": "another"}), 1, nothing},
		"the spec": {login, func(w *world) {
			w.Edit("main", func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"openid"} })
		}, 3, asked},
		"a way to warn":   {importing, func(w *world) { w.Edit("main", func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "our shop" }) }, 2, func(w *world) { w.Expect(w.calls("ebay")).To(Equal(1)) }},
		"the Marketplace": {importing, func(w *world) { w.editMarketplace("ebay") }, 2, func(w *world) { w.Expect(w.calls("ebay")).To(Equal(1)) }},
		"a person asks":   {importing, func(w *world) { w.Annotate("main", v1alpha1.AnnotationRenew, "1") }, 3, asked},
		"a token is due":  {importing, func(w *world) { w.clock.SetTime(w.renewalTime()) }, 3, asked},
		"the token Secret": {importing, edited("main-token", map[string]string{"access_token": "s0mething-else"}), 1, func(w *world) {
			w.Eventually(w.token).ShouldNot(HaveKeyWithValue("access_token", "s0mething-else"))
			w.Expect(w.calls("ebay")).To(Equal(1))
		}},
		"the token Secret is gone": {importing, removed("main-token"), 1, func(w *world) {
			w.Eventually(func() map[string]string { return w.FindSecret("main-token") }).ShouldNot(BeNil())
			w.Expect(w.calls("ebay")).To(Equal(1))
		}},
		"the grant Secret is an older one": {importing, func(w *world) {
			w.editCustody(func(kept *custody.Custody) { kept.Serial-- })
		}, 3, asked},
		"a refresh token was about to be sent": {importing, func(w *world) {
			w.editCustody(func(kept *custody.Custody) { kept.Journal = &custody.Journal{StartedAt: w.clock.Now(), Attempts: 1} })
		}, 2, func(w *world) { w.expectReady() }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			platform := map[v1alpha1.GrantType]string{importing: "ebay", login: "xsale"}[story.grant]
			w.prepare(platform, story.grant)
			always := w.readsOfARestart()
			story.change(w)
			w.restartedReading(always + story.read)
			story.then(w)
		})
	}
}

// TestAForgedMemoryOfAnApplicationIsNotBelieved: the Secret is read.
func TestAForgedMemoryOfAnApplicationIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	always := w.readsOfARestart()
	w.editCustody(func(kept *custody.Custody) { kept.Seen.ClientID = "another" })
	w.start()
	// The application's Secret and the import's are read. Whether the key is, which another process might have replaced, depends on when it was read last.
	w.Expect(w.secretsRead()).To(And(BeNumerically(">=", always+2), BeNumerically("<=", always+3)), "%v", w.traffic.counted())
	w.expectAuthenticated()
	w.Eventually(w.events).Should(ContainElement("Warning CustodyUnauthenticated"))
}

// TestACodeThatWaitedDuringARestart becomes tokens.
func TestACodeThatWaitedDuringARestart(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	w.expectSignInRequired()
	code := w.userCode("")
	w.start()
	w.Expect(w.userCode("")).To(Equal(code))
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.settle()
	w.restartedReading(0)

	// An account that works waits for a person as well, whom somebody has asked to sign in anew.
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	next := w.userCode(code)
	w.start()
	w.Expect(market.ApproveDevice(next, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.Eventually(func() int64 { return w.get().Status.AccessToken.Serial }).Should(BeEquivalentTo(2))
}

// TestAVisitThatWasOpenDuringARestart is completed.
func TestAVisitThatWasOpenDuringARestart(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.restartedReading(0)
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	browser := w.browser()
	visit, err := browser.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := browser.consent("allegro", visit, demomarket.Person{})
	w.settle()
	w.restartedReading(0)
	_, err = browser.comeBack(back)
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() int64 { return w.get().Status.AccessToken.Serial }).Should(BeEquivalentTo(2))
}

// TestAfterAnUpgradeSecretsAreReadOnce by a version that knows nothing of them, until the next renewal.
func TestAfterAnUpgradeSecretsAreReadOnce(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	w.editCustody(func(kept *custody.Custody) { kept.Seen = custody.Seen{} })
	w.restartedReading(2)
	w.passRenewal()
	w.settle()
	w.restartedReading(0)
}
