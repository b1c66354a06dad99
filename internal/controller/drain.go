package controller

import (
	"context"
	"fmt"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Drain ends the spending of refresh tokens and codes, and returns when every answer that was waited for has come and is
// stored, or when ctx ends. A process that ends before that has lost what the marketplace gave last.
func (v *Visits) Drain(ctx context.Context) {
	v.drain.Do(func() {
		go func() {
			defer close(v.drained)
			v.r.underway.Lock() // and never unlocked: nothing begins any more
			v.storing.Wait()
			v.r.storeAll(ctx)
		}()
	})
	select {
	case <-v.drained:
	case <-ctx.Done():
	}
}

// storeAll stores what waits in memory, until there is nothing left.
func (r *Reconciler) storeAll(ctx context.Context) {
	_ = callbackBackoff.DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) { // only ctx ends it early
		var failure error
		store := func(account *v1alpha1.MarketplaceAccount) {
			if err := r.handOver(ctx, account); err != nil {
				failure = err
			}
		}
		for _, waiting := range r.unstored.Range {
			store(waiting.(unstored).account)
		}
		for _, waiting := range r.approvals.Range {
			store(waiting.(approval).account)
		}
		if failure != nil {
			logf.FromContext(ctx).Info("Storing what marketplaces gave before the end", "reason", failure.Error())
		}
		return failure == nil, nil
	})
}

// owes tells whether tokens of an account wait to be stored.
func (r *Reconciler) owes(account *v1alpha1.MarketplaceAccount) bool {
	_, pair := r.unstored.Load(account.UID)
	_, approved := r.approvals.Load(account.UID)
	return pair || approved
}

// handOver stores what waits of an account, for whoever keeps it from now on.
func (r *Reconciler) handOver(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	f := &found{view: r.viewOf(account)}
	if err := r.rescue(ctx, f); err != nil {
		return err
	}
	if _, approved := r.approvals.Load(account.UID); !approved {
		return nil
	}
	request, trouble, err := r.resolve(ctx, f.view)
	if trouble != nil {
		return fmt.Errorf("%s: %s", trouble.reason, trouble.message)
	}
	if err != nil {
		return err
	}
	f.request = request
	return r.storeApproval(ctx, f)
}
