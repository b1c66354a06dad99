package conditions_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
)

func TestClockSkewed(t *testing.T) {
	skewed := func(by time.Duration) func(*conditions.Look) {
		return func(l *conditions.Look) {
			l.ClockSkew, l.ClockSkewKnown = by, true
			l.Request.Platform.TokenURL = "https://ebay.example/token"
		}
	}
	message := func(l conditions.Look) string {
		if condition := meta.FindStatusCondition(l.Account.Status.Conditions, v1alpha1.ConditionClockSkewed); condition != nil {
			return string(condition.Status) + " " + condition.Reason + ": " + condition.Message
		}
		return ""
	}
	ahead := conditions.Report(lookAt(skewed(5 * time.Minute)))
	const want = "True ClockSkewed: The clock of ebay.example is 5m0s ahead of the operator's; check the time of the operator's node, by which tokens are renewed"
	if got := message(ahead); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	behind := conditions.Report(lookAt(skewed(-time.Minute)))
	if got := message(behind); got != "True ClockSkewed: The clock of ebay.example is 1m0s behind the operator's; check the time of the operator's node, by which tokens are renewed" {
		t.Errorf("it says %q", got)
	}
	again := func(of conditions.Look, changes ...func(*conditions.Look)) conditions.Look {
		next := lookAt(changes...)
		next.Account = of.Account
		return conditions.Report(next)
	}
	if got := again(ahead, skewed(6*time.Minute)); !equality.Semantic.DeepEqual(got.Account.Status, ahead.Account.Status) {
		t.Error("another difference of the clocks would be a write of its own")
	}
	if got := again(ahead); message(got) != want {
		t.Error("the condition goes although nothing is known, as after a restart")
	}
	if got := again(ahead, skewed(0)); !equality.Semantic.DeepEqual(got.Account.Status, ahead.Account.Status) {
		t.Error("clocks that agree again would be a write of their own")
	}
	if got := again(ahead, skewed(0), func(l *conditions.Look) { l.ServedUntil = l.ServedUntil.Add(time.Hour) }); message(got) != "" {
		t.Error("the condition stays although the clocks agree again, and something else is written")
	}
}
