package controller_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories restore an account and the operator's Secrets as backup tools do: without status, with a new UID, and without
// owner references.

// backUp is the account and both Secrets as they are now.
func (w *world) backUp() []client.Object {
	w.T.Helper()
	return []client.Object{w.get(), w.readSecret("main-grant"), w.readSecret("main-token")}
}

// lost is what a tool does not bring back of an account and its Secrets.
type lost struct{ status, uid, owners bool }

func (l lost) String() string {
	var parts []string
	for part, missing := range map[string]bool{"status": l.status, "UID": l.uid, "owner references": l.owners} {
		if missing {
			parts = append(parts, part)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// restoreAll puts a backup in the place of what is there, but for all that tools lose.
func (w *world) restoreAll(backup []client.Object) {
	w.T.Helper()
	w.restoreBut(lost{status: true, uid: true, owners: true}, backup)
}

// restoreBut puts a backup in the place of what is there, but for what is lost. An account that keeps its UID was not away, and its status is
// the present one.
func (w *world) restoreBut(lost lost, backup []client.Object) {
	w.T.Helper()
	w.stop()
	for _, name := range []string{"main-grant", "main-token"} {
		w.Delete(w.readSecret(name))
	}
	if lost.uid {
		w.removeAccount()
	}
	for _, object := range backup {
		object.SetUID("")
		object.SetResourceVersion("")
		object.SetFinalizers(nil)
		object.SetManagedFields(nil)
		if lost.owners {
			object.SetOwnerReferences(nil)
		}
		account, isAccount := object.(*v1alpha1.MarketplaceAccount)
		if !isAccount {
			w.Create(object)
			continue
		}
		status := account.Status
		if lost.uid {
			w.Create(account) // which drops its status
		} else {
			account = w.get()
		}
		switch {
		case lost.status:
			account.Status = v1alpha1.MarketplaceAccountStatus{}
		case lost.uid:
			account.Status = status
		}
		w.Expect(kube.Status().Update(w.T.Context(), account)).To(Succeed())
	}
}

// removeAccount deletes the account, whatever holds it.
func (w *world) removeAccount() {
	w.T.Helper()
	account := w.get()
	account.Finalizers = nil
	w.Expect(kube.Update(w.T.Context(), account)).To(Succeed())
	w.Expect(client.IgnoreNotFound(kube.Delete(w.T.Context(), account))).To(Succeed())
	w.Eventually(func() error {
		return kube.Get(w.T.Context(), client.ObjectKeyFromObject(account), &v1alpha1.MarketplaceAccount{})
	}).ShouldNot(Succeed())
}

func TestARestoredAccountDoesNotSendItsRefreshToken(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	backup := w.backUp()
	w.passRenewal()
	w.settle()
	calls, market := w.calls("oidc"), w.Market.Platform("oidc")
	w.restoreAll(backup)
	w.annotate(v1alpha1.AnnotationRenew, "from before")
	w.start()
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(And(ContainSubstring("another account or in another cluster"), ContainSubstring(v1alpha1.AnnotationRenew)))
	w.start()
	w.pass(day)
	w.Expect(w.calls("oidc")).To(Equal(calls), "a refresh token from a backup was sent")
	w.Expect(market.Report().DoubleSpends).To(BeZero())

	// A person says so; here the token was spent indeed.
	w.annotate(v1alpha1.AnnotationRenew, "try")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
	w.expectAuthenticated()
}

// TestAnAccountThatMovedGoesOnWhenAPersonSaysSo suspends the account where it was first.
func TestAnAccountThatMovedGoesOnWhenAPersonSaysSo(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.settle()
	backup := w.backUp()
	w.restoreAll(backup)
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.start()
	w.expectReady()
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.annotate(v1alpha1.AnnotationRenew, "moved")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectAuthenticated()
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestACustodyOfAnotherCluster(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		witness func(*custody.Witness)
		sends   bool
	}{
		"of this account in another cluster": {func(w *custody.Witness) { w.Cluster = "another" }, false},
		"of another account":                 {func(w *custody.Witness) { w.Account = "another" }, false},
		"of a cluster that was not known":    {func(w *custody.Witness) { w.Cluster = "" }, true},
		"from before, with its owner":        {func(w *custody.Witness) { *w = custody.Witness{} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("oidc", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.settle()
			w.Expect(w.custody().Witness.Account).To(Equal(w.get().UID))
			w.Expect(w.custody().Witness.Cluster).NotTo(BeEmpty())
			w.stop()
			w.editCustody(func(kept *custody.Custody) { change.witness(&kept.Witness) })
			calls := w.calls("oidc")
			w.start()
			w.passUntil(w.renewalTime())
			if change.sends {
				w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
				w.expectAuthenticated()
				return
			}
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
			w.Expect(w.calls("oidc")).To(Equal(calls))
		})
	}
}

func TestACustodyFromBeforeWithoutItsOwnerIsRestored(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.editCustody(func(kept *custody.Custody) { kept.Witness = custody.Witness{} })
	backup := w.backUp()
	w.restoreAll(backup)
	calls := w.calls("oidc")
	w.start()
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(calls))
}

func TestARestoredGrantThatDoesNotRotateGoesOn(t *testing.T) {
	w := newWorld(t)
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	backup := w.backUp()
	w.passRenewal()
	w.settle()
	w.restoreAll(backup)
	w.start()
	w.expectAuthenticated()
	w.passRenewal()
	w.expectAuthenticated()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

// write puts members into the document of the grant Secret, as a later version does.
func (w *world) writeDocument(members map[string]any) {
	w.T.Helper()
	secret := w.readSecret("main-grant")
	document := map[string]any{}
	w.Expect(json.Unmarshal(secret.Data["grant.json"], &document)).To(Succeed())
	maps.Copy(document, members)
	text, err := json.Marshal(document)
	w.Expect(err).NotTo(HaveOccurred())
	secret.Data["grant.json"] = text
	w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
}

// TestADocumentOfALaterVersionIsLeftAlone is a rollback: nothing is sent, and the token stays published.
func TestADocumentOfALaterVersionIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	w.writeDocument(map[string]any{"version": 99, "proof": "of a later version"})
	before, calls := w.readSecret("main-grant").Data, w.calls("oidc")
	w.start()
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)
	w.Expect(message).To(ContainSubstring(`Secret "main-grant" was written by a later version`))
	w.expectReady()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.annotate(v1alpha1.AnnotationVerify, "now")
	w.pass(13 * time.Hour)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(w.readSecret("main-grant").Data).To(Equal(before))

	// The later version is run again, here one that knows version 1.
	w.writeDocument(map[string]any{"version": 1})
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

// TestARolloutWhileARenewalIsUnderWay lets a later version write the document while an answer is on its way: the answer is the only
// copy of a pair, and is stored.
func TestARolloutWhileARenewalIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	calls, market := w.calls("oidc"), w.Market.Platform("oidc")
	w.callTimeout = time.Minute
	w.start()
	market.Inject(demomarket.HookFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		w.writeDocument(map[string]any{"version": 99, "proof": "of a later version"})
		next.ServeHTTP(rw, r)
	}).Once())
	w.passUntil(w.renewalTime())
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)
	var document struct {
		Version      int
		Proof        string
		RefreshToken string
	}
	w.Eventually(func() bool {
		w.Expect(json.Unmarshal(w.readSecret("main-grant").Data["grant.json"], &document)).To(Succeed())
		return market.RefreshTokenValid(document.RefreshToken)
	}).Should(BeTrue(), "the answer in hand was lost")
	w.Expect(document.Version).To(Equal(99))
	w.Expect(document.Proof).To(Equal("of a later version"))
	w.pass(13 * time.Hour)
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(market.Report().LostPairs).To(BeZero())
}

// TestARollbackWhileABrowserIsAtTheMarketplace comes back to an older version, which looks before it redeems the code.
func TestARollbackWhileABrowserIsAtTheMarketplace(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()
	w.writeDocument(map[string]any{"version": 99})
	_, err = w.visits.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
	var problem *signin.Error
	w.Expect(errors.As(err, &problem)).To(BeTrue(), "%v", err)
	w.Expect(problem.Problem).To(Equal(signin.AccountUnready))
	w.Expect(problem.Detail).To(ContainSubstring("a later version"))
	w.Expect(w.calls("allegro")).To(BeZero(), "a code was redeemed")

	w.writeDocument(map[string]any{"version": 1})
	w.settle()
	_, err = w.visits.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
}

// TestARolloutWhileACodeIsRedeemed lets a later version write the document between the code and its tokens, which are stored.
func TestARolloutWhileACodeIsRedeemed(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()
	market.Inject(demomarket.HookFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		w.writeDocument(map[string]any{"version": 99, "proof": "of a later version"})
		next.ServeHTTP(rw, r)
	}).Once())
	outcome, err := w.visits.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.Unconfirmed).To(BeTrue())
	var document struct {
		Version   int
		Proof     string
		Candidate *struct{ RefreshToken string }
	}
	w.Expect(json.Unmarshal(w.readSecret("main-grant").Data["grant.json"], &document)).To(Succeed())
	w.Expect(document.Version).To(Equal(99))
	w.Expect(document.Proof).To(Equal("of a later version"))
	w.Expect(document.Candidate).NotTo(BeNil(), "the answer in hand was lost")
	w.Expect(market.RefreshTokenValid(document.Candidate.RefreshToken)).To(BeTrue())

	w.writeDocument(map[string]any{"version": 1}) // which the later version knows as well
	w.pass(time.Minute)
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(market.Report().LostPairs).To(BeZero())
}
