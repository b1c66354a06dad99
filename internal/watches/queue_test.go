package watches

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
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

// TestAccountsOfASecretWaitTheirTurn: however often a Secret is written, and however many accounts name it, those that are due come to their turn.
func TestAccountsOfASecretWaitTheirTurn(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("turns of a Secret")
	defer queue.ShutDown()
	named := func(context.Context, client.Object) (all []reconcile.Request) {
		for i := range 10 {
			all = append(all, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "greedy", Name: strconv.Itoa(i)}})
		}
		return all
	}
	secrets := ofSecrets{handler.EnqueueRequestsFromMapFunc(named)}
	foreign := foreignSecrets{source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		for _, account := range named(ctx, nil) {
			queue.Add(account)
		}
		return nil
	})}
	due := types.NamespacedName{Namespace: "another", Name: "due"}
	write := func() {
		secret := &corev1.Secret{}
		changed := secret.DeepCopy()
		changed.ResourceVersion = "2"
		secrets.Update(t.Context(), event.UpdateEvent{ObjectOld: secret, ObjectNew: changed}, queue)
		secrets.Create(t.Context(), event.CreateEvent{Object: secret}, queue)
		secrets.Delete(t.Context(), event.DeleteEvent{Object: secret}, queue)
		secrets.Generic(t.Context(), event.GenericEvent{Object: secret}, queue)
		if err := foreign.Start(t.Context(), queue); err != nil {
			t.Fatal(err)
		}
	}
	write()
	Caller(queue)(due, 0, PriorityScheduled)
	for range 11 {
		request, _ := queue.Get()
		queue.Done(request)
		if request.NamespacedName == due {
			return
		}
		write()
	}
	t.Error("the account that is due had no turn while a Secret was written all the time")
}

// TestAnAccountInTurnIsRetriedWithWaits, and comes behind what users do once its wait is over.
func TestAnAccountInTurnIsRetriedWithWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := priorityqueue.New("retries in turn", func(o *priorityqueue.Opts[reconcile.Request]) {
			o.RateLimiter = Retries(time.Now, time.Minute, time.Hour)
		})
		defer queue.ShutDown()
		account := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shops", Name: "main"}}
		waiting := inTurn(queue)
		for _, wait := range []time.Duration{time.Minute, 2 * time.Minute} {
			waiting.AddRateLimited(account)
			time.Sleep(wait - time.Second) //nolint:forbidigo // the clock of the bubble is a fake
			if queue.Len() != 0 {
				t.Errorf("it came before %s", wait)
			}
			time.Sleep(time.Second) //nolint:forbidigo // the clock of the bubble is a fake
			request, priority, _ := queue.GetWithPriority()
			queue.Done(request)
			if request != account || priority != PriorityScheduled {
				t.Errorf("after %s came %v with priority %d", wait, request, priority)
			}
		}
	})
}
