package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// flushAll stores what waits in memory.
func (r *reconciler) flushAll(ctx context.Context) error {
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
func (r *reconciler) hasPending(account *v1alpha1.MarketplaceAccount) bool {
	return r.grants.Pending(account.UID) != nil || r.devices.approval(account.UID) != nil
}

// flush stores what waits of an account, for the process that keeps it from now on.
func (r *reconciler) flush(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	l, err := r.storePending(ctx, r.LookAt(account, r.grants))
	if err != nil || r.devices.approval(account.UID) == nil {
		return err
	}
	request, failure, err := r.Resolver.Resolve(ctx, l.Facts)
	if failure != nil {
		return fmt.Errorf("%s: %s", failure.Reason, failure.Message)
	}
	if err != nil {
		return err
	}
	l.Request = request
	_, err = r.storeApproval(ctx, l)
	return err
}
