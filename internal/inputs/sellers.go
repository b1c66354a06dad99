package inputs

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// IndexSeller is the index of accounts by their SellersOf.
const IndexSeller = "seller"

// Sellers looks for the other accounts of a seller. It may be used by many goroutines at once.
type Sellers struct {
	// cached reads accounts from a cache with the index IndexSeller.
	cached client.Reader
	grants *grantstore.Store
}

// NewSellers returns a search for sellers among the accounts of a cache with the index IndexSeller.
func NewSellers(cached client.Reader, grants *grantstore.Store) *Sellers {
	return &Sellers{cached, grants}
}

// sellerOf identifies a seller among all platforms, as an index does: by platform, environment and the platform's own
// identifier.
func sellerOf(account *v1alpha1.MarketplaceAccount, id string) string {
	return strings.Join([]string{account.Spec.MarketplaceRef.Name, account.Spec.Environment, id}, "\x00")
}

// SellersOf is the seller whose tokens an account holds, as far as known.
func SellersOf(account *v1alpha1.MarketplaceAccount) []string {
	if account.Status.Account == nil || account.Status.Account.ID == "" {
		return nil
	}
	return []string{sellerOf(account, account.Status.Account.ID)}
}

// Others returns the other accounts that hold tokens of a seller at the same platform.
func (s *Sellers) Others(ctx context.Context, account *v1alpha1.MarketplaceAccount, id string) ([]v1alpha1.MarketplaceAccount, error) {
	var list v1alpha1.MarketplaceAccountList
	if err := s.cached.List(ctx, &list, client.MatchingFields{IndexSeller: sellerOf(account, id)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the accounts of a seller: %w", err)
	}
	var others []v1alpha1.MarketplaceAccount
	for i := range list.Items {
		if list.Items[i].UID != account.UID {
			others = append(others, list.Items[i])
		}
	}
	return others, nil
}

// OlderAccount names an older account of the same seller; empty where there is none. An account of another namespace is not named: the readers of
// this one may not know of it.
func (s *Sellers) OlderAccount(ctx context.Context, account *v1alpha1.MarketplaceAccount, id string) (string, error) {
	others, err := s.Others(ctx, account, bounds.Cut(id, bounds.Name))
	if err != nil {
		return "", err
	}
	for i := range others {
		other := &others[i]
		if !older(other, account) {
			continue
		}
		if other.Namespace != account.Namespace {
			return "a MarketplaceAccount of another namespace", nil
		}
		return fmt.Sprintf("MarketplaceAccount %q", other.Name), nil
	}
	return "", nil
}

// HoldElsewhere looks, where an answer was lost, whether another account holds a grant of the same seller and application: some
// platforms end all of them when a refresh token is used twice.
func (s *Sellers) HoldElsewhere(ctx context.Context, f facts.Facts) (bool, error) {
	id := bounds.Cut(f.ExpectedAccount(), bounds.Name)
	if f.Journal() == nil || !f.Request.Rotates() || id == "" {
		return false, nil
	}
	others, err := s.Others(ctx, f.Account, id)
	if err != nil {
		return false, err
	}
	for i := range others {
		held, err := s.grants.Cached(ctx, &others[i])
		if err != nil {
			return false, err
		}
		custody, err := s.grants.CustodyIn(&others[i], held)
		if (err == nil || tokensecret.IsNewer(err)) && custody.RefreshToken != "" && custody.ClientID == f.Request.Application.ClientID {
			return true, nil
		}
	}
	return false, nil
}

// older tells whether a was there before b.
func older(a, b *v1alpha1.MarketplaceAccount) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return client.ObjectKeyFromObject(a).String() < client.ObjectKeyFromObject(b).String()
}
