package kube

import (
	"strings"
	"testing"
	"unsafe"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// decoded is an account with copies of all texts, as each decoding makes them.
func decoded(name string) *v1alpha1.MarketplaceAccount {
	account := mainAccount()
	account.Name = name
	account.Namespace, account.Spec.MarketplaceRef.Name = strings.Clone("shop"), strings.Clone("allegro")
	account.Status.Conditions = append(make([]metav1.Condition, 0, 8), metav1.Condition{
		Type: strings.Clone(v1alpha1.ConditionReady), Status: metav1.ConditionTrue, Reason: strings.Clone(v1alpha1.ReasonTokenValid),
		Message: strings.Clone("The token is valid until 12:00:00"),
	}, metav1.Condition{
		Type: strings.Clone(v1alpha1.ConditionReauthRequired), Status: metav1.ConditionFalse, Message: strings.Clone("No sign-in is needed"),
	}, metav1.Condition{
		Type: strings.Clone(v1alpha1.ConditionAuthorizationExpiring), Status: metav1.ConditionTrue, Message: strings.Clone("Sign in at https://x/" + name),
	})
	return account
}

// TestAccountsShareTexts, and stay the same.
func TestAccountsShareTexts(t *testing.T) {
	g := NewWithT(t)
	contents := contentsOf(t)
	var held []*v1alpha1.MarketplaceAccount
	for _, name := range []string{"one", "two"} {
		account := decoded(name)
		kept, err := contents.account(account)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(kept).To(Equal(decoded(name)))
		held = append(held, kept.(*v1alpha1.MarketplaceAccount))
	}
	one, two := held[0], held[1]
	same := func(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }
	g.Expect(same(one.Namespace, two.Namespace)).To(BeTrue())
	g.Expect(same(one.Spec.MarketplaceRef.Name, two.Spec.MarketplaceRef.Name)).To(BeTrue())
	for i, shares := range []bool{false, true, false} {
		a, b := one.Status.Conditions[i], two.Status.Conditions[i]
		g.Expect(same(a.Type, b.Type)).To(BeTrue())
		g.Expect(same(a.Message, b.Message)).To(Equal(shares), a.Message)
	}
	g.Expect(cap(one.Status.Conditions)).To(BeNumerically("<", 8))
}
