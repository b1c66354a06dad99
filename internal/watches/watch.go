package watches

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// Watch makes a controller reconcile the accounts that a change concerns, and at its start all of them. The Secrets that the operator itself has just written
// concern none.
func Watch(made *builder.Builder, clients *kube.Clients, own *grantstore.OwnWrites, now func() time.Time) *builder.Builder {
	find := lookup{clients.Cached}
	return made.
		For(&v1alpha1.MarketplaceAccount{}, builder.WithPredicates(accountChanged())).
		Watches(&v1alpha1.MarketplaceAccount{}, pressingFirst(now)).
		Watches(&corev1.Secret{}, ofSecrets{handler.EnqueueRequestsFromMapFunc(find.accountsOfLabelledSecret)}, builder.WithPredicates(versionChanged[client.Object](), own.Predicate())).
		Watches(&v1alpha1.MarketplaceAccount{}, handler.EnqueueRequestsFromMapFunc(find.accountsOfSameSeller), builder.WithPredicates(sellerChanged())).
		Watches(&v1alpha1.Marketplace{}, handler.EnqueueRequestsFromMapFunc(find.accountsOfMarketplace), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(foreignSecrets{clients.ForeignSecrets(find.accountsOfSecret)}).
		WatchesRawSource(clients.NamespaceLabels(find.accountsOfNamespace)).
		WatchesRawSource(clients.UnwatchedApplications(find.accountsOfApplication)).
		WatchesRawSource(source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			waiting := inTurn(queue)
			own.OnForeign = func(secret client.Object, doubtful bool) {
				add := waiting.Add
				if doubtful {
					add = waiting.AddRateLimited
				}
				for _, request := range find.accountsOfLabelledSecret(ctx, secret) {
					add(request)
				}
			}
			return nil
		}))
}
