package controller_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// validity is what a Marketplace says of itself.
func (w *world) validity(platform string) string {
	w.T.Helper()
	object := w.GetMarketplace(platform)
	condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionValid)
	if condition == nil || condition.ObservedGeneration != object.Generation {
		return "nothing of this generation"
	}
	return fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
}

// inTime reads something while time passes, a second for each time that it is read.
func inTime[T any](w *world, read func() T) func() T {
	return func() T {
		w.clock.Step(time.Second)
		return read()
	}
}

// A Marketplace says what is wrong with it, its accounts say so with the cause, those of another go on untouched, and nothing is spent.
func TestAMarketplaceSaysWhatIsWrongWithIt(t *testing.T) {
	w := newWorld(t)
	w.tellsOfMarketplaces = true
	allegro, ebay := func() string { return w.validity("allegro") }, func() string { return w.validity("ebay") }
	w.marketplace("allegro")
	w.marketplace("ebay")
	w.signInApplication("allegro")
	w.imported("allegro")
	w.account("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Eventually(inTime(w, allegro)).Should(Equal("True Valid: It can be filled in for every environment and choice"))
	w.Eventually(inTime(w, ebay)).Should(HavePrefix("True Valid"))
	w.settle()
	asked, account, other := w.calls("allegro"), w.get(), w.GetMarketplace("ebay").Status.Conditions

	// A change that means nothing to accounts spends nothing.
	w.EditMarketplace("allegro", func(m *v1alpha1.Marketplace) { m.Spec.DisplayName = "Allegro, renamed" })
	w.Eventually(inTime(w, allegro)).Should(HavePrefix("True Valid"))
	w.settle()
	w.Expect(w.calls("allegro")).To(Equal(asked))
	w.Expect(w.get().Status.AccessToken).To(Equal(account.Status.AccessToken))

	// One that is wrong is said at the Marketplace and at its accounts, which keep their tokens.
	object := w.GetMarketplace("allegro")
	w.EditMarketplace("allegro", func(m *v1alpha1.Marketplace) { m.Spec.Endpoints.Token = "https://{hots}/auth/oauth/token" })
	const cause = "spec.endpoints.token: {hots} is neither a variable of the environment nor a parameter that is set"
	w.Eventually(allegro).Should(Equal("False InvalidSpec: " + cause))
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonInvalidSpec)
	w.Expect(message).To(And(ContainSubstring(object.Name), ContainSubstring(cause)))
	w.expectReady()
	w.settle()
	w.Expect(w.calls("allegro")).To(Equal(asked))

	written := w.GetMarketplace("allegro").Status.Conditions
	w.settle()
	w.Expect(w.GetMarketplace("allegro").Status.Conditions).To(Equal(written), "it is written once")
	w.EditMarketplace("allegro", func(m *v1alpha1.Marketplace) { m.Spec.Endpoints.Token = object.Spec.Endpoints.Token })
	w.Eventually(inTime(w, allegro)).Should(HavePrefix("True Valid"))
	w.expectAuthenticated()
	w.settle()
	w.Expect(w.calls("allegro")).To(Equal(asked), "nothing was spent")
	w.Expect(w.GetMarketplace("ebay").Status.Conditions).To(Equal(other), "nor was another Marketplace touched")
}

// A Marketplace says how many accounts it has, with few writes for many that come and go.
func TestAMarketplaceCountsItsAccounts(t *testing.T) {
	w := newWorld(t)
	w.countAccounts, w.tellsOfMarketplaces = true, true
	w.marketplace("ebay")
	w.application()
	accounts := w.accountsOf(w.Namespace, "ebay", 12)
	w.start()
	count := func() int32 {
		if told := w.GetMarketplace("ebay").Status.Accounts; told != nil {
			return *told
		}
		return -1
	}
	w.Eventually(inTime(w, count)).Should(BeEquivalentTo(12))
	before := w.GetMarketplace("ebay")
	for _, account := range accounts[:7] {
		w.Expect(kube.Delete(t.Context(), account)).To(Succeed())
	}
	w.Eventually(inTime(w, count)).Should(BeEquivalentTo(5))
	w.Expect(w.GetMarketplace("ebay").Generation).To(Equal(before.Generation))
	w.account("ebay", v1alpha1.GrantClientCredentials, named("a-new"))
	w.settle()
	w.Expect(count()).To(BeEquivalentTo(5), "one more is not worth a write of its own at once")
	w.Eventually(inTime(w, count)).Should(BeEquivalentTo(6))
}
