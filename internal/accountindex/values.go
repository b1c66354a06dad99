package accountindex

import (
	"context"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var (
	// ByMarketplace finds accounts by the name of their Marketplace.
	ByMarketplace = Index{"marketplace", func(account *v1alpha1.MarketplaceAccount) []string { return []string{account.Spec.MarketplaceRef.Name} }}
	// BySecret finds accounts by the names of the Secrets that they refer to.
	BySecret = Index{"secret", SecretsOf}
	// BySeller finds accounts by their Seller.
	BySeller = Index{"seller", SellersOf}
)

// AddAll adds all indexes to a cache.
func AddAll(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []Index{ByMarketplace, BySecret, BySeller} {
		if err := index.Add(ctx, indexer); err != nil {
			return err
		}
	}
	return nil
}

// SecretsOf names the Secrets of its namespace that an account refers to. It leaves out the Secrets that are named after the account: they
// are found by their names.
func SecretsOf(account *v1alpha1.MarketplaceAccount) []string {
	var names []string
	if name := account.Spec.TokenSecret.Name; name != "" {
		names = append(names, name)
	}
	if name := account.Spec.ApplicationSecretRef.Name; name != "" {
		names = append(names, name)
	}
	if password := account.Spec.Grant.Password; password != nil {
		names = append(names, password.SecretRef.Name)
	}
	if imported := account.Spec.Grant.RefreshToken; imported != nil {
		names = append(names, imported.SecretRef.Name)
	}
	return names
}

// Seller identifies a seller among all platforms: by platform, environment and the platform's own identifier.
func Seller(account *v1alpha1.MarketplaceAccount, id string) string {
	return strings.Join([]string{account.Spec.MarketplaceRef.Name, account.Spec.Environment, id}, "\x00")
}

// SellersOf is the seller whose tokens an account holds, as far as known.
func SellersOf(account *v1alpha1.MarketplaceAccount) []string {
	if account.Status.Account == nil || account.Status.Account.ID == "" {
		return nil
	}
	return []string{Seller(account, account.Status.Account.ID)}
}
