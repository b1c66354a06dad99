package controller_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about tenants that ask for more than their share.

// tenant adds a namespace with an application.
func (w *world) tenant(clientSecret string) string {
	w.T.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-"}}
	w.Create(namespace)
	w.tenants = append(w.tenants, namespace.Name)
	w.Create(secretOf(namespace.Name, "app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": clientSecret}))
	return namespace.Name
}

// accountsOf creates accounts of a tenant.
func (w *world) accountsOf(namespace, platform string, n int) []*v1alpha1.MarketplaceAccount {
	w.T.Helper()
	accounts := make([]*v1alpha1.MarketplaceAccount, n)
	for i := range accounts {
		accounts[i] = w.account(platform, v1alpha1.GrantClientCredentials, named(fmt.Sprint("a-", i)),
			func(a *v1alpha1.MarketplaceAccount) { a.Namespace = namespace })
	}
	return accounts
}

// ask sets a request annotation, and does not wait for what comes of it.
func (w *world) ask(account *v1alpha1.MarketplaceAccount, annotation, value string) {
	w.T.Helper()
	before := account.DeepCopy()
	metav1.SetMetaDataAnnotation(&account.ObjectMeta, annotation, value)
	w.Expect(kube.Patch(w.T.Context(), account, client.MergeFrom(before))).To(Succeed())
}

// tokenOf is the token of an account as the status tells.
func (w *world) tokenOf(account *v1alpha1.MarketplaceAccount) v1alpha1.AccessTokenStatus {
	w.T.Helper()
	w.Expect(kube.Get(w.T.Context(), client.ObjectKeyFromObject(account), account)).To(Succeed())
	w.Expect(account.Status.AccessToken).NotTo(BeNil())
	return *account.Status.AccessToken
}

func TestATenantThatAsksAllTheTimeMakesNobodyElseLate(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{
		"a copy of the application":                   demomarket.DefaultClientSecret,
		"its client_id, which is public, and no more": "wR0ng-kq83nvzL2",
	} {
		t.Run(name, func(t *testing.T) {
			const greedy, seconds = 12, 20
			w := newWorld(t)
			w.marketplace("ebay", limits(5, 4))
			w.application()
			loud := w.accountsOf(w.tenant(secret), "ebay", greedy)
			quiet := w.account("ebay", v1alpha1.GrantClientCredentials)
			w.start()
			for range 6 {
				w.pass(time.Second)
			}
			first := w.tokenOf(quiet)
			w.passUntil(first.RenewalTime.Add(-5 * time.Second))
			before := w.calls("ebay")
			var late time.Duration
			for second := range seconds {
				for _, account := range loud {
					w.ask(account, v1alpha1.AnnotationRenew, fmt.Sprint(second))
				}
				w.pass(time.Second)
				now := w.tokenOf(quiet)
				w.Expect(now.ExpirationTime.Time).To(BeTemporally(">", w.clock.Now()), "the token expired in its Secret")
				if late == 0 && now.Serial > first.Serial {
					late = now.IssuedTime.Sub(first.RenewalTime.Time)
				}
			}
			w.Expect(w.tokenOf(quiet).Serial).To(Equal(first.Serial + 1))
			w.Expect(late).To(BeNumerically("<=", time.Second), "two turns of a limiter with five requests a second, in whole seconds")
			asked := w.calls("ebay") - before - 1
			w.Expect(asked).To(BeNumerically("<=", greedy*3))
			w.Expect(asked).To(BeNumerically(">=", greedy*3-4))

			// Nobody's request is lost: the newest waits.
			w.pass(time.Minute)
			for range 4 {
				w.pass(time.Second)
			}
			for _, account := range loud {
				w.Eventually(func() *v1alpha1.HandledStatus {
					w.Expect(kube.Get(t.Context(), client.ObjectKeyFromObject(account), account)).To(Succeed())
					return account.Status.Handled
				}).Should(HaveField("Renew", fmt.Sprint(seconds-1)))
			}
			w.Expect(w.calls("ebay") - before - 1).To(BeNumerically("<=", greedy*4))
		})
	}
}

func TestDeviceCodesAreNotDrawnInALoop(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	w.userCode("")
	issued := func() int { return market.Report().DeviceCodes.Issued }
	w.Expect(issued()).To(Equal(1))
	for i := range 30 {
		w.ask(w.get(), v1alpha1.AnnotationSignIn, fmt.Sprint(i))
		w.settle()
	}
	w.Expect(issued()).To(Equal(1 + 3))
	w.Expect(w.get().Status.Handled.SignIn).To(Equal("2"))
	w.pass(time.Minute)
	w.Expect(issued()).To(Equal(1 + 4))
	w.Expect(w.get().Status.Handled.SignIn).To(Equal("29"), "the newest stands for those that it replaced")
	w.pass(time.Minute)
	w.Expect(issued()).To(Equal(1 + 4))
}

func TestTestsAndRenewalsCountTogether(t *testing.T) {
	w := newWorld(t)
	host := newIdentityHost(t)
	w.marketplace("ebay", host.of)
	w.application()
	w.sellers("ebay", 1)
	w.start()
	w.Expect(w.readyAccounts()).To(HaveLen(1))
	before, calls := host.asked(), w.calls("ebay")
	account := w.test("seller-0", "0")
	w.settle()
	for i := range 10 {
		w.ask(account, v1alpha1.AnnotationRenew, fmt.Sprint(i))
		w.settle()
		w.test("seller-0", fmt.Sprint(i+1))
		w.settle()
	}
	w.Expect(host.asked()-before).To(Equal(3), "a renewal asks whose the tokens are, as long as nobody knows, and a test does")
	w.Expect(w.calls("ebay") - calls).To(BeNumerically("<=", 2))
	w.pass(time.Minute)
	w.pass(time.Minute)
	w.Expect(kube.Get(t.Context(), client.ObjectKeyFromObject(account), account)).To(Succeed())
	w.Expect(account.Status.Handled).To(And(HaveField("Renew", "9"), HaveField("Verify", "10")))
}
