package watches

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestWorkQueue plays what goes on in the queue that the manager uses: an account that is called goes first, what users do goes before
// what falls due, and an account that went first once does not do so for ever.
func TestWorkQueue(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("turns")
	defer queue.ShutDown()
	call := Caller(queue)
	account := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "shops", Name: name} }
	// next takes as many accounts as there are, and says which.
	next := func(n int) (names []string) {
		for range n {
			request, _ := queue.Get()
			names = append(names, request.Name)
		}
		for _, name := range names {
			queue.Done(reconcile.Request{NamespacedName: account(name)})
		}
		return names
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: the order is %v, want %v", what, got, want)
		}
	}

	call(account("later"), time.Hour, PriorityScheduled)
	call(account("due"), 0, PriorityScheduled)
	queue.Add(reconcile.Request{NamespacedName: account("edited")})
	call(account("later"), 0, PriorityCalled)
	expect("called before its time", next(3), "later", "edited", "due")

	call(account("later"), 0, PriorityScheduled)
	queue.Add(reconcile.Request{NamespacedName: account("edited")})
	expect("due again", next(2), "edited", "later")
}
