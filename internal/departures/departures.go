package departures

import (
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// Memory holds the tokens and other facts that this process alone knows of accounts.
type Memory interface {
	// HasPending tells whether tokens of an account wait to be stored.
	HasPending(account *v1alpha1.MarketplaceAccount) bool
	// Flush stores the tokens of an account that wait to be stored.
	Flush(ctx context.Context, account *v1alpha1.MarketplaceAccount) error
	// Forget drops an account that has left.
	Forget(account *v1alpha1.MarketplaceAccount)
}

// Departures is the reconciler of all accounts: it forgets accounts that left the cache, and Secrets of users that no account refers to any
// more, before it goes on with the account that has the name now. It does so in the account's own turn, when no reconcile of it is under way
// that could remember anything new.
// An account can leave the cache and live on: its labels made it another installation's. Then its tokens that could not
// be stored yet are stored first, because no other process has them.
type Departures struct {
	cache, live client.Reader
	userSecrets *usersecrets.Cache
	memory      Memory
	staying     reconcile.Reconciler

	mu       sync.Mutex // guards departed
	departed map[client.ObjectKey]departed
}

// departed is what an account leaves behind: itself, and names of Secrets that it referred to.
type departed struct {
	accounts []*v1alpha1.MarketplaceAccount
	secrets  []string
}

// New returns the reconciler of all accounts, with the memory of those that leave. staying reconciles the accounts that are in the cache.
func New(clients *kube.Clients, memory Memory, staying reconcile.Reconciler) *Departures {
	return &Departures{
		cache: clients.Cached, live: clients.Live, userSecrets: clients.UserSecrets,
		memory: memory, staying: staying, departed: map[client.ObjectKey]departed{},
	}
}

// Notices takes note of accounts that leave, or refer to other Secrets than before.
func (d *Departures) Notices() handler.EventHandler {
	note := func(before, after *v1alpha1.MarketplaceAccount, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		var leaves departed
		leaves.secrets = accountindex.SecretsOf(before)
		if after == nil || after.UID != before.UID {
			leaves.accounts = []*v1alpha1.MarketplaceAccount{before}
		} else {
			still := accountindex.SecretsOf(after)
			leaves.secrets = slices.DeleteFunc(leaves.secrets, func(name string) bool { return slices.Contains(still, name) })
		}
		if len(leaves.accounts)+len(leaves.secrets) > 0 {
			d.add(client.ObjectKeyFromObject(before), leaves)
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(before)})
		}
	}
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, after := e.ObjectOld.(*v1alpha1.MarketplaceAccount), e.ObjectNew.(*v1alpha1.MarketplaceAccount)
			note(before, after, queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.Object.(*v1alpha1.MarketplaceAccount), nil, queue)
		},
	}
}

func (d *Departures) add(key client.ObjectKey, leaves departed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	waits := d.departed[key]
	waits.accounts = append(waits.accounts, leaves.accounts...)
	waits.secrets = append(waits.secrets, leaves.secrets...)
	d.departed[key] = waits
}

func (d *Departures) take(key client.ObjectKey) departed {
	d.mu.Lock()
	defer d.mu.Unlock()
	leaves := d.departed[key]
	delete(d.departed, key)
	return leaves
}

// Reconcile forgets the accounts that had this name, and goes on with the account that has it.
func (d *Departures) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	leaves := d.take(request.NamespacedName)
	for i, account := range leaves.accounts {
		if err := d.flushAndForget(ctx, account); err != nil {
			d.add(request.NamespacedName, departed{leaves.accounts[i:], leaves.secrets})
			return reconcile.Result{}, fmt.Errorf("storing the tokens of an account that has left: %w", err)
		}
	}
	for _, name := range leaves.secrets {
		key := client.ObjectKey{Namespace: request.Namespace, Name: name}
		referred, err := d.referred(ctx, key)
		if err != nil {
			d.add(request.NamespacedName, departed{secrets: leaves.secrets})
			return reconcile.Result{}, err
		}
		if !referred {
			d.userSecrets.Forget(key)
		}
	}
	return d.staying.Reconcile(ctx, request)
}

// referred tells whether an account in the cache refers to a Secret. A Secret that only a Marketplace refers to is read again.
func (d *Departures) referred(ctx context.Context, key client.ObjectKey) (bool, error) {
	accounts, err := accountindex.BySecret.List(ctx, d.cache, key.Name, client.InNamespace(key.Namespace))
	return len(accounts) > 0, err
}

// flushAndForget forgets an account that left. Before that it stores the tokens that no other process has.
func (d *Departures) flushAndForget(ctx context.Context, left *v1alpha1.MarketplaceAccount) error {
	account := &v1alpha1.MarketplaceAccount{}
	err := d.cache.Get(ctx, client.ObjectKeyFromObject(left), account)
	if err == nil && account.UID == left.UID {
		return nil // it came back
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if !d.memory.HasPending(left) {
		d.memory.Forget(left)
		return nil
	}
	account = &v1alpha1.MarketplaceAccount{}
	err = d.live.Get(ctx, client.ObjectKeyFromObject(left), account)
	if apierrors.IsNotFound(err) || err == nil && account.UID != left.UID {
		d.memory.Forget(left)
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.memory.Flush(ctx, account); err != nil {
		return err
	}
	if d.memory.HasPending(left) {
		return fmt.Errorf("Secret %q cannot be used", left.GrantSecretName())
	}
	d.memory.Forget(left)
	return nil
}
