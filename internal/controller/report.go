package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
)

// look is what people are told of.
func (f *found) look() conditions.Look { return conditions.Look{Facts: f.Facts, Outcome: f.Outcome} }

// emit makes events of transitions, after the status says the same.
func (r *Reconciler) emit(account *v1alpha1.MarketplaceAccount, transitions ...conditions.Transition) {
	for _, transition := range transitions {
		eventType := corev1.EventTypeNormal
		if transition.Warning {
			eventType = corev1.EventTypeWarning
		}
		r.Recorder.Eventf(account, nil, eventType, transition.Event, transition.Action, "%s", transition.Note)
	}
}

// after makes the work queue wait until then, by a clock that is not cut to seconds; zero means for an event.
func after(now, look time.Time) reconcile.Result {
	if look.IsZero() {
		return reconcile.Result{}
	}
	wait := time.Second
	if look.After(now) {
		wait = look.Sub(now)
	}
	return reconcile.Result{RequeueAfter: wait, Priority: new(priorityScheduled)}
}
