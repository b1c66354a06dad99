package controller_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// restoration is a restore that brings back a part of an account.
type restoration struct {
	platform string
	lost     lost
	// outdated tells that the tokens were renewed after the backup was made.
	outdated bool

	w      *world
	backup []client.Object
	calls  int // before the restore
}

// conflicts tells that the Secrets name an owner that is not there any more.
func (r *restoration) conflicts() bool { return r.lost.uid && !r.lost.owners }

// asks tells that a person has to say how to go on: the refresh token works once, and may be spent or in use elsewhere.
func (r *restoration) asks() bool { return r.platform == "oidc" && (r.lost.uid || r.outdated) }

// unknowable tells that nothing in the cluster differs from how it was when the backup was made: docs/backup.md has the accounts suspended
// first, see TestARestoreOfEverythingIsSuspendedFirst.
func (r *restoration) unknowable() bool { return r.outdated && r.lost.status && !r.lost.uid }

// TestARestoreThatRestoresHalf restores an account without its status, with a new UID and without owner references, each and together: no
// refresh token is sent twice, no account is lost, and the conditions say what docs/backup.md does.
func TestARestoreThatRestoresHalf(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"oidc", "ebay"} { // whose refresh tokens work once, and for as long as the authorization
		for _, outdated := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, outdated %t", platform, outdated), func(t *testing.T) {
				var restorations []*restoration
				var names []string
				for bits := range 7 {
					parts := bits + 1
					r := &restoration{platform: platform, lost: lost{status: parts&1 != 0, uid: parts&2 != 0, owners: parts&4 != 0}, outdated: outdated}
					if !r.unknowable() {
						restorations, names = append(restorations, r), append(names, "without "+r.lost.String())
					}
				}
				for i, w := range newWorlds(t, names...) {
					restorations[i].w = w
				}
				tellRestorations(restorations)
			})
		}
	}
}

// tellRestorations are those at one platform, outdated or not. One operator works before and after.
func tellRestorations(restorations []*restoration) {
	operator, outdated := restorations[0].w, restorations[0].outdated
	var worlds []*world
	for _, r := range restorations {
		worlds = append(worlds, r.w)
		r.w.prepare(r.platform, v1alpha1.GrantRefreshToken)
	}
	operator.start()
	for _, r := range restorations {
		r.w.expectReady()
	}
	operator.settle()
	for _, r := range restorations {
		r.backup = r.w.backUp()
	}
	if outdated {
		passRenewals(worlds...)
		operator.settle()
	}
	for _, r := range restorations {
		r.w.restoreBut(r.lost, r.backup)
		r.calls = r.w.calls(r.platform)
	}
	operator.start()
	for _, r := range restorations {
		if r.conflicts() {
			message := r.w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
			r.w.Expect(message).To(ContainSubstring("where it was restored together with the account, its ownerReferences alone"))
		}
	}
	operator.pass(time.Hour)
	for _, r := range restorations {
		if r.conflicts() {
			r.w.Expect(r.w.calls(r.platform)).To(Equal(r.calls))
			r.w.disown("main-grant")
			r.w.disown("main-token")
		}
	}
	operator.pass(day) // the renewal is due
	for _, r := range restorations {
		r.goesOn()
	}
}

// goesOn says how it goes on, where a person has to, and looks at what came of it.
func (r *restoration) goesOn() {
	w, market := r.w, r.w.Market.Platform(r.platform)
	if r.asks() {
		message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.Expect(message).To(And(ContainSubstring(`Secret "main-grant"`), ContainSubstring(`until a new one is supplied (Secret "import")`),
			ContainSubstring("annotate the account with "+v1alpha1.AnnotationRenew)))
		w.Expect(w.calls(r.platform)).To(Equal(r.calls), "a refresh token from a backup was sent")
		if r.outdated {
			w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		} else {
			w.annotate(v1alpha1.AnnotationRenew, "restored")
		}
	}
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
	// The garbage collector leaves both Secrets alone from here on.
	for _, name := range []string{"main-grant", "main-token"} {
		owner, _ := tokensecret.ControllingAccount(w.readSecret(name))
		w.Expect(owner).To(Equal(w.get().UID), name)
	}
}

// disown takes the owner references of a Secret away, as docs/backup.md says.
func (w *world) disown(name string) {
	w.T.Helper()
	secret := w.readSecret(name)
	secret.OwnerReferences = nil
	w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
}

// TestARestoreOfEverythingIsSuspendedFirst restores status, Secrets and all, which nothing tells from a cluster that was not restored.
func TestARestoreOfEverythingIsSuspendedFirst(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("oidc")
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	backup, was := w.backUp(), w.get().Status
	w.passRenewal()
	w.restoreBut(lost{}, backup)
	account := w.get()
	account.Status = was
	w.Expect(kube.Status().Update(t.Context(), account)).To(Succeed())
	calls := w.calls("oidc")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.start()
	w.pass(day)
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	w.Expect(w.calls("oidc")).To(Equal(calls))

	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}
