package watches

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestRetries: looks without an error between two failures do not make the account hurry, and rest does.
func TestRetries(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	retries := Retries(func() time.Time { return now }, 5*time.Millisecond, 10*time.Second)
	one, other := reconcile.Request{NamespacedName: types.NamespacedName{Name: "one"}}, reconcile.Request{NamespacedName: types.NamespacedName{Name: "other"}}
	expect := func(what string, request reconcile.Request, want time.Duration) {
		t.Helper()
		if got := retries.When(request); got != want {
			t.Errorf("%s it waits for %s, want %s", what, got, want)
		}
	}
	expect("at first", one, 5*time.Millisecond)
	expect("then", one, 10*time.Millisecond)
	now = now.Add(9 * time.Second)
	retries.Forget(one)
	expect("after a look without an error", one, 20*time.Millisecond)
	expect("another account", other, 5*time.Millisecond)
	now = now.Add(10 * time.Second)
	retries.Forget(one)
	expect("when all was well for a while", one, 5*time.Millisecond)
	now = now.Add(-time.Hour)
	retries.Forget(one)
	expect("when the clock was set back", one, 5*time.Millisecond)
	expect("soon after that", one, 10*time.Millisecond)
	now = now.Add(2 * time.Hour)
	expect("another account much later", other, 5*time.Millisecond)
	if n := retries.NumRequeues(one); n != 0 {
		t.Errorf("%d failures are remembered of an account that is gone", n)
	}
}
