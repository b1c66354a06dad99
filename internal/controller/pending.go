package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// flushAll stores the tokens of all accounts that wait in memory.
func (r *reconciler) flushAll(ctx context.Context) error {
	accounts := r.devices.approved()
	for _, pending := range r.grants.AllPending() {
		accounts = append(accounts, pending.Account)
	}
	var failures []error
	for _, account := range accounts {
		failures = append(failures, r.Flush(ctx, account))
	}
	return errors.Join(failures...)
}

// HasPending implements departures.Memory: it tells whether tokens of an account wait to be stored.
func (r *reconciler) HasPending(account *v1alpha1.MarketplaceAccount) bool {
	return r.grants.Pending(account.UID) != nil || r.devices.approval(account.UID) != nil
}

// Flush implements departures.Memory: it stores the tokens of an account that wait in memory, for the process that keeps the account from now on.
func (r *reconciler) Flush(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	l, err := r.storePending(ctx, r.LookAt(account, r.grants))
	if err != nil || r.devices.approval(account.UID) == nil {
		return err
	}
	l, failure, err := r.Resolve(ctx, l)
	if err != nil {
		return err
	}
	if failure != nil {
		return fmt.Errorf("%s: %s", failure.Reason, failure.Message)
	}
	_, err = r.storeApproval(ctx, l)
	return err
}

// Forget implements departures.Memory: it drops an account that is deleted or has left from memory.
func (r *reconciler) Forget(account *v1alpha1.MarketplaceAccount) { r.memory.Forget(account) }
