package inputs

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Sellers looks for the other accounts of a seller. It may be used by many goroutines at once.
type Sellers struct {
	// cached reads accounts from a cache with the index accountindex.BySeller.
	cached client.Reader
	grants *grantstore.Store
}

// NewSellers returns a search for sellers among the accounts of a cache with the index accountindex.BySeller.
func NewSellers(cached client.Reader, grants *grantstore.Store) *Sellers {
	return &Sellers{cached, grants}
}

// OtherAccounts returns the other accounts that hold tokens of a seller at the same platform.
func (s *Sellers) OtherAccounts(ctx context.Context, account *v1alpha1.MarketplaceAccount, id string) ([]v1alpha1.MarketplaceAccount, error) {
	holders, err := accountindex.BySeller.List(ctx, s.cached, accountindex.Seller(account, id))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(holders, func(holder v1alpha1.MarketplaceAccount) bool { return holder.UID == account.UID }), nil
}

// OldestAccount names the oldest of the older accounts of the same seller, at each look the same; empty where there is none. An account of another
// namespace is not named: the readers of this one may not know of it.
func (s *Sellers) OldestAccount(ctx context.Context, account *v1alpha1.MarketplaceAccount, id string) (string, error) {
	holders, err := s.OtherAccounts(ctx, account, bounds.Cut(id, bounds.Name))
	if err != nil {
		return "", err
	}
	oldest := account
	for i := range holders {
		if older(&holders[i], oldest) {
			oldest = &holders[i]
		}
	}
	switch {
	case oldest == account:
		return "", nil
	case oldest.Namespace != account.Namespace:
		return "a MarketplaceAccount of another namespace", nil
	}
	return fmt.Sprintf("MarketplaceAccount %q", oldest.Name), nil
}

// HoldElsewhere looks, where an answer was lost, whether another account holds a grant of the same seller and application: some
// platforms end all of them when a refresh token is used twice.
func (s *Sellers) HoldElsewhere(ctx context.Context, f facts.Facts) (bool, error) {
	id := bounds.Cut(f.ExpectedAccount(), bounds.Name)
	if f.Journal() == nil || !f.Request.Rotates() || id == "" {
		return false, nil
	}
	holders, err := s.OtherAccounts(ctx, f.Account, id)
	if err != nil {
		return false, err
	}
	for i := range holders {
		held, err := s.grants.Cached(ctx, &holders[i])
		if err != nil {
			return false, err
		}
		kept, err := s.grants.CustodyIn(&holders[i], held)
		if (err == nil || tokensecret.IsNewer(err)) && counts(kept.Grant, f.Request.Application.ClientID, holders[i].Namespace == f.Account.Namespace) {
			return true, nil
		}
	}
	return false, nil
}

// counts tells whether a grant of another account is one of the application. An unproven grant counts for accounts of its own namespace alone, since any
// tenant can write one there.
func counts(grant custody.Grant, clientID string, sameNamespace bool) bool {
	return grant.RefreshToken != "" && grant.ClientID == clientID && (sameNamespace || !grant.Unproven)
}

// older tells whether a was there before b.
func older(a, b *v1alpha1.MarketplaceAccount) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return client.ObjectKeyFromObject(a).String() < client.ObjectKeyFromObject(b).String()
}
