package controller

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/events"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

func TestARenewalIsAnEventWhereItIsNews(t *testing.T) {
	type status = v1alpha1.MarketplaceAccountStatus
	failed := status{LastFailure: &v1alpha1.FailureStatus{Count: 1}}
	asked := func(value string) status { return status{Handled: &v1alpha1.HandledStatus{Renew: value}} }
	for name, test := range map[string]struct {
		before, after status
		found         found
		want          string // empty for no event
	}{
		"the first token":                                {found: found{Outcome: lifecycle.Outcome{Obtained: true, First: true}}, want: "TokenIssued"},
		"the routine":                                    {found: found{Outcome: lifecycle.Outcome{Obtained: true}}},
		"one that somebody asked for":                    {after: asked("now"), found: found{Outcome: lifecycle.Outcome{Obtained: true}}, want: "TokenRenewed"},
		"one that somebody asked for again":              {before: asked("now"), after: asked("again"), found: found{Outcome: lifecycle.Outcome{Obtained: true}}, want: "TokenRenewed"},
		"the routine, long after somebody asked for one": {before: asked("now"), after: asked("now"), found: found{Outcome: lifecycle.Outcome{Obtained: true, HandledRenew: true}}},
		"one that ends failures":                         {before: failed, found: found{Outcome: lifecycle.Outcome{Obtained: true}}, want: "TokenRenewed"},
		"no renewal":                                     {before: failed},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(1)
			r := &Reconciler{Recorder: recorder}
			r.announce(&v1alpha1.MarketplaceAccount{Status: test.before}, &v1alpha1.MarketplaceAccount{Status: test.after}, &test.found)
			close(recorder.Events)
			var got []string
			for event := range recorder.Events {
				got = append(got, event)
			}
			if test.want == "" {
				NewWithT(t).Expect(got).To(BeEmpty())
				return
			}
			NewWithT(t).Expect(got).To(ConsistOf(ContainSubstring(test.want)))
		})
	}
}
