package controller

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// TestAMissingLabelIsToldOnce is S8b: once for each account and Secret, in bounded memory.
func TestAMissingLabelIsToldOnce(t *testing.T) {
	g := NewWithT(t)
	var owner accountmemory.Owner
	m := unlabelledMemory{accountmemory.New[toldSecrets](&owner)}
	known := func() (accounts int) {
		m.told.Each(func(types.UID, toldSecrets) bool { accounts++; return true })
		return accounts
	}
	of := func(names ...string) (unlabelled []facts.UnlabelledSecret) {
		for _, name := range names {
			unlabelled = append(unlabelled, facts.UnlabelledSecret{Name: name})
		}
		return unlabelled
	}
	g.Expect(m.untold("a", nil)).To(BeEmpty())
	g.Expect(known()).To(BeZero(), "an account whose Secrets are labelled takes no memory")
	g.Expect(m.untold("a", of("app", "login"))).To(Equal(of("app", "login")))
	g.Expect(m.untold("a", of("app", "login"))).To(BeEmpty())
	g.Expect(m.untold("a", of("login"))).To(BeEmpty())
	g.Expect(m.untold("a", of("app"))).To(BeEmpty(), "it was told of before")
	g.Expect(m.untold("a", of("other", "login"))).To(Equal(of("other")))
	g.Expect(m.untold("b", of("app"))).To(Equal(of("app")), "another account is told by itself")
	for i := range 100 {
		name := fmt.Sprint("app-", i)
		g.Expect(m.untold("a", of(name))).To(Equal(of(name)))
		g.Expect(m.untold("a", of(name))).To(BeEmpty())
	}
	g.Expect(known()).To(Equal(2))
	owner.Forget(&v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{UID: "a"}})
	g.Expect(known()).To(Equal(1))
}
