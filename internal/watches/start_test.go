package watches

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestPressingFirst plays a start: whatever their names, accounts with work to do go before those that have none.
func TestPressingFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	account := func(name string, observed int64, renewal time.Time) *v1alpha1.MarketplaceAccount {
		return &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shops", Name: name, Generation: 2},
			Status: v1alpha1.MarketplaceAccountStatus{
				ObservedGeneration: observed, AccessToken: &v1alpha1.AccessTokenStatus{RenewalTime: metav1.NewTime(renewal)},
			},
		}
	}
	isNew := account("n-new", 0, time.Time{})
	isNew.Status.AccessToken = nil
	all := []*v1alpha1.MarketplaceAccount{
		account("a-valid", 2, now.Add(time.Second)), account("b-not-honoured", 2, time.Time{}),
		account("l-edited", 1, now.Add(time.Hour)), account("m-due", 2, now), isNew,
	}
	for _, start := range []bool{true, false} {
		queue := priorityqueue.New[reconcile.Request]("start")
		found := &handler.EnqueueRequestForObject{}
		first := pressingFirst(func() time.Time { return now })
		for _, a := range all {
			e := event.CreateEvent{Object: a, IsInInitialList: start}
			handler.WithLowPriorityWhenUnchanged(found).Create(t.Context(), e, queue)
			first.Create(t.Context(), e, queue)
		}
		var order []string
		for range all {
			request, _ := queue.Get()
			order = append(order, request.Name)
		}
		want := []string{"l-edited", "m-due", "n-new", "a-valid", "b-not-honoured"}
		if !start {
			want = []string{"a-valid", "b-not-honoured", "l-edited", "m-due", "n-new"}
		}
		if !slices.Equal(order, want) {
			t.Errorf("at a start (%t) the order is %v, want %v", start, order, want)
		}
		queue.ShutDown()
	}
}
