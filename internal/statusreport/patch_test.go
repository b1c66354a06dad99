package statusreport

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestWhatIsLeftOutOfAStatus tells what stays of a patch after the API server has refused fields of it.
func TestWhatIsLeftOutOfAStatus(t *testing.T) {
	const plain = "The grant Secret holds a reason that no condition can have; delete it and supply a new grant"
	at := metav1.NewTime(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	before := v1alpha1.MarketplaceAccountStatus{
		ObservedGeneration: 1, Application: &v1alpha1.ApplicationStatus{SecretExpirationTime: at, DaysRemaining: new(int32(3))},
	}
	after := v1alpha1.MarketplaceAccountStatus{
		ObservedGeneration: 2,
		Account:            &v1alpha1.AccountStatus{ID: "44130512", Login: "my-shop"},
		Application:        &v1alpha1.ApplicationStatus{SecretExpirationTime: at, DaysRemaining: new(int32(-3))},
		Conditions:         []metav1.Condition{{Type: "Ready", Status: "False", Reason: "no reason", Message: "m", LastTransitionTime: at}},
	}
	conditions := func(reason, message string) []any {
		return []any{map[string]any{
			"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-03-02T09:00:00Z",
		}}
	}
	account := map[string]any{"id": "44130512", "login": "my-shop"}
	days, none := map[string]any{"daysRemaining": -3.0}, map[string]any{"daysRemaining": nil}
	tests := map[string]struct {
		fields []string
		want   map[string]any
		left   []string
	}{
		"a field of a group, which the API server holds already": {
			[]string{"status.application.daysRemaining"},
			map[string]any{"observedGeneration": 2.0, "account": account, "application": none, "conditions": conditions("no reason", "m")},
			[]string{"status.application.daysRemaining"},
		},
		"a whole group": {
			[]string{"status.account"},
			map[string]any{"observedGeneration": 2.0, "account": nil, "application": days, "conditions": conditions("no reason", "m")},
			[]string{"status.account"},
		},
		"the reason of a condition, whose status stays": {
			[]string{"status.conditions[0].reason"},
			map[string]any{"observedGeneration": 2.0, "account": account, "application": days, "conditions": conditions("SecretInvalid", plain)},
			[]string{"status.conditions[0].reason"},
		},
		"several": {
			[]string{"status.application.daysRemaining", "status.account.id", "status.conditions[0].reason"},
			map[string]any{"observedGeneration": 2.0, "account": map[string]any{"id": nil, "login": "my-shop"}, "application": none,
				"conditions": conditions("SecretInvalid", plain)},
			[]string{"status.application.daysRemaining", "status.account.id", "status.conditions[0].reason"},
		},
		"what the patch does not hold": {
			[]string{"status.signIn.url", "status.conditions[7].reason", "status.conditions[x].reason", "status.account.id.x", "metadata.name", "status", ""},
			map[string]any{"observedGeneration": 2.0, "account": account, "application": days, "conditions": conditions("no reason", "m")},
			nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			patch, err := newStatusPatch(&before, &after)
			if err != nil {
				t.Fatal(err)
			}
			refusal := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid, Details: &metav1.StatusDetails{}}}
			for _, field := range test.fields {
				refusal.ErrStatus.Details.Causes = append(refusal.ErrStatus.Details.Causes, metav1.StatusCause{Field: field}, metav1.StatusCause{Field: field})
			}
			if diff := cmp.Diff(test.left, patch.withoutRefused(refusal)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, map[string]any(patch)); diff != "" {
				t.Errorf("the patch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"status.account", "status.application"}, patch.conditionsAlone(refusal)); diff != "" {
				t.Errorf("left out at last (-want +got):\n%s", diff)
			}
			if _, err := json.Marshal(patch); err != nil {
				t.Error(err)
			}
		})
	}
}
