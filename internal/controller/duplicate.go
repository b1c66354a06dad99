package controller

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// findDuplicate looks for an older account of the same seller.
func (r *reconciler) findDuplicate(ctx context.Context, l driver.Look) (driver.Look, error) {
	older, err := r.Sellers.OldestAccount(ctx, l.Account, l.Custody.Account.ID)
	return l.With(lifecycle.Outcome{DuplicateOf: older}), err
}
