package watches

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// lookup finds the accounts that a changed object concerns.
type lookup struct{ cache client.Reader }

// by finds the accounts that have a value of an index.
func (l lookup) by(ctx context.Context, index accountindex.Index, value string, options ...client.ListOption) []reconcile.Request {
	found, err := index.List(ctx, l.cache, value, options...)
	return requestsFor(ctx, found, err)
}

// requestsFor are the requests to reconcile accounts that were listed for a changed object.
func requestsFor(ctx context.Context, accounts []v1alpha1.MarketplaceAccount, err error) []reconcile.Request {
	if err != nil {
		logf.FromContext(ctx).Error(err, "Listing accounts for a changed object")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(accounts))
	for i := range accounts {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&accounts[i])})
	}
	return requests
}

// accountsNamed finds the accounts that a Secret is named after.
func (l lookup) accountsNamed(ctx context.Context, secret client.ObjectKey) []reconcile.Request {
	var requests []reconcile.Request
	for _, suffix := range []string{v1alpha1.GrantSecretSuffix, v1alpha1.TokenSecretSuffix, v1alpha1.SignInSecretSuffix} {
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
	return lookup{cache}.by(ctx, accountindex.ByMarketplace, marketplace)
}

func (l lookup) accountsOfMarketplace(ctx context.Context, object client.Object) []reconcile.Request {
	return l.by(ctx, accountindex.ByMarketplace, object.GetName())
}

// accountsOfSecret finds the accounts that refer to a Secret by themselves or through their Marketplace, and the account whose own
// Secret it is or takes the place of.
func (l lookup) accountsOfSecret(ctx context.Context, key client.ObjectKey) []reconcile.Request {
	requests := append(l.accountsNamed(ctx, key),
		l.by(ctx, accountindex.BySecret, key.Name, client.InNamespace(key.Namespace))...)
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
	var list v1alpha1.MarketplaceAccountList
	err := l.cache.List(ctx, &list, client.InNamespace(namespace.Name), client.UnsafeDisableDeepCopy)
	return requestsFor(ctx, list.Items, err)
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

// accountsOfSameSeller finds the accounts that a changed one may be a duplicate of, or not any more, and where there are some, the changed one as well:
// its look may have ended before the cache showed whose they are.
func (l lookup) accountsOfSameSeller(ctx context.Context, object client.Object) []reconcile.Request {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, seller := range accountindex.SellersOf(account) {
		holders := l.by(ctx, accountindex.BySeller, seller)
		if slices.ContainsFunc(holders, func(r reconcile.Request) bool { return r.NamespacedName != client.ObjectKeyFromObject(account) }) {
			requests = append(requests, holders...)
		}
	}
	return requests
}
