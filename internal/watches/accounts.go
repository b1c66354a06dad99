package watches

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

const (
	// IndexMarketplace finds accounts in the cache by the name of their Marketplace.
	IndexMarketplace = "marketplace"
	// IndexSecret finds accounts in the cache by the names of the Secrets that they refer to (SecretsOf).
	IndexSecret = "secret"
)

// indexes are the values by which accounts are found, by the name of the index.
var indexes = map[string]func(*v1alpha1.MarketplaceAccount) []string{
	IndexMarketplace:   func(a *v1alpha1.MarketplaceAccount) []string { return []string{a.Spec.MarketplaceRef.Name} },
	IndexSecret:        SecretsOf,
	inputs.IndexSeller: inputs.SellersOf,
}

// AddIndexes adds all indexes of accounts to the cache, that of sellers included.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for name := range indexes {
		if err := AddIndex(ctx, indexer, name); err != nil {
			return err
		}
	}
	return nil
}

// AddIndex adds one index of accounts to the cache.
func AddIndex(ctx context.Context, indexer client.FieldIndexer, name string) error {
	if err := indexer.IndexField(ctx, &v1alpha1.MarketplaceAccount{}, name, func(object client.Object) []string {
		return indexes[name](object.(*v1alpha1.MarketplaceAccount))
	}); err != nil {
		return fmt.Errorf("indexing accounts by %s: %w", name, err)
	}
	return nil
}

// SecretsOf names the Secrets of its namespace that an account refers to. It leaves out the Secrets that are named after the account: they
// are found by their names, and an index of ten thousand accounts is large.
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

// lookup finds the accounts that a changed object concerns.
type lookup struct{ cache client.Reader }

func (l lookup) accounts(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var list v1alpha1.MarketplaceAccountList
	if err := l.cache.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		logf.FromContext(ctx).Error(err, "Listing accounts for a changed object")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// accountsNamed finds the accounts that a Secret is named after.
func (l lookup) accountsNamed(ctx context.Context, secret client.ObjectKey) []reconcile.Request {
	var requests []reconcile.Request
	for _, suffix := range []string{v1alpha1.GrantSecretSuffix, v1alpha1.TokenSecretSuffix} {
		name, ok := strings.CutSuffix(secret.Name, suffix)
		if !ok {
			continue
		}
		account := &v1alpha1.MarketplaceAccount{}
		err := l.cache.Get(ctx, client.ObjectKey{Namespace: secret.Namespace, Name: name}, account, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			logf.FromContext(ctx).Error(err, "Reading an account for a changed Secret")
		}
		if err == nil && account.HasSecretName(secret.Name) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(account)})
		}
	}
	return requests
}

// OfMarketplace finds the accounts of a Marketplace.
func OfMarketplace(ctx context.Context, cache client.Reader, marketplace string) []reconcile.Request {
	return lookup{cache}.accounts(ctx, client.MatchingFields{IndexMarketplace: marketplace})
}

func (l lookup) accountsOfMarketplace(ctx context.Context, object client.Object) []reconcile.Request {
	return l.accounts(ctx, client.MatchingFields{IndexMarketplace: object.GetName()})
}

// accountsOfSecret finds the accounts that refer to a Secret by themselves or through their Marketplace, and the account whose own
// Secret it is or takes the place of.
func (l lookup) accountsOfSecret(ctx context.Context, key client.ObjectKey) []reconcile.Request {
	requests := append(l.accountsNamed(ctx, key),
		l.accounts(ctx, client.InNamespace(key.Namespace), client.MatchingFields{IndexSecret: key.Name})...)
	return append(requests, l.accountsOfApplication(ctx, key)...)
}

// accountsOfApplication finds the accounts whose Marketplace refers to a Secret.
func (l lookup) accountsOfApplication(ctx context.Context, key client.ObjectKey) []reconcile.Request {
	var marketplaces v1alpha1.MarketplaceList
	if err := l.cache.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "Listing Marketplaces for a changed Secret")
		return nil
	}
	var requests []reconcile.Request
	for i := range marketplaces.Items {
		application := marketplaces.Items[i].Spec.Application
		if application != nil && application.SecretRef.Name == key.Name && application.SecretRef.Namespace == key.Namespace {
			requests = append(requests, l.accountsOfMarketplace(ctx, &marketplaces.Items[i])...)
		}
	}
	return requests
}

func (l lookup) accountsOfNamespace(ctx context.Context, namespace *metav1.PartialObjectMetadata) []reconcile.Request {
	return l.accounts(ctx, client.InNamespace(namespace.Name))
}

// ApplicationRejected finds the accounts in the cache whose status says that their application is refused.
func ApplicationRejected(ctx context.Context, cache client.Reader) []reconcile.Request {
	var list v1alpha1.MarketplaceAccountList
	if err := cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "Listing accounts whose application was refused")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		account := &list.Items[i]
		for _, condition := range account.Status.Conditions {
			if reasons.Of(condition.Reason).Subject == reasons.Application {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(account)})
				break
			}
		}
	}
	return requests
}

// accountsOfLabelledSecret finds the account that one of the operator's own Secrets belongs to by its labels, and the accounts that
// refer to it.
func (l lookup) accountsOfLabelledSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	requests := l.accountsOfSecret(ctx, client.ObjectKeyFromObject(secret))
	if named := secret.GetLabels()[v1alpha1.LabelAccount]; named != "" {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: secret.GetNamespace(), Name: named}})
	}
	return requests
}

// accountsOfSameSeller finds the accounts that a changed one may be a duplicate of, or not any more.
func (l lookup) accountsOfSameSeller(ctx context.Context, object client.Object) []reconcile.Request {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, seller := range inputs.SellersOf(account) {
		for _, request := range l.accounts(ctx, client.MatchingFields{inputs.IndexSeller: seller}) {
			if request.NamespacedName != client.ObjectKeyFromObject(account) {
				requests = append(requests, request)
			}
		}
	}
	return requests
}
