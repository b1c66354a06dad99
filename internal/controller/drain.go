package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Drain ends the spending of refresh tokens and codes, and returns when every answer that was waited for has come and is
// stored, or when ctx ends. A process that ends before that has lost what the marketplace gave last.
func (v *Visits) Drain(ctx context.Context) {
	v.r.grants.Drain(ctx, v.storing.Wait, v.r.flushAll)
}

// flushAll stores what waits in memory.
func (r *Reconciler) flushAll(ctx context.Context) error {
	accounts := r.devices.approved()
	for _, pending := range r.grants.AllPending() {
		accounts = append(accounts, pending.Account)
	}
	var failures []error
	for _, account := range accounts {
		failures = append(failures, r.flush(ctx, account))
	}
	return errors.Join(failures...)
}

// hasPending tells whether tokens of an account wait to be stored.
func (r *Reconciler) hasPending(account *v1alpha1.MarketplaceAccount) bool {
	return r.grants.Pending(account.UID) != nil || r.devices.approval(account.UID) != nil
}

// flush stores what waits of an account, for the process that keeps it from now on.
func (r *Reconciler) flush(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	f := &found{Facts: r.factsOf(account)}
	if err := r.storePending(ctx, f); err != nil {
		return err
	}
	if r.devices.approval(account.UID) == nil {
		return nil
	}
	request, trouble, err := r.resolve(ctx, f.Facts)
	if trouble != nil {
		return fmt.Errorf("%s: %s", trouble.Reason, trouble.Message)
	}
	if err != nil {
		return err
	}
	f.Request = request
	return r.storeApproval(ctx, f)
}
