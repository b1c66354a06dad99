package controller

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
)

// parting drops what is in memory of accounts that left the cache, and of Secrets that none refers to any more. It does so
// in the account's own turn, when no reconcile of it is under way that could remember something new.
// An account can leave the cache and live on: its labels made it another installation's. Then what could not
// be stored yet is stored first, because nobody else has it.
type parting struct {
	*Reconciler
	cache client.Reader
	// staying reconciles accounts that are in the cache.
	staying reconcile.Reconciler

	mu   sync.Mutex // guards left
	left map[client.ObjectKey]leaving
}

// leaving is what an account leaves behind: itself, and names of Secrets that it referred to.
type leaving struct {
	accounts []*v1alpha1.MarketplaceAccount
	secrets  []string
}

func newParting(r *Reconciler, cached client.Reader) *parting {
	return &parting{
		Reconciler: r, cache: cached, staying: reconcile.AsReconciler(r.Client, r), left: map[client.ObjectKey]leaving{},
	}
}

// notices hears of accounts that leave or refer to other Secrets.
func (p *parting) notices() handler.EventHandler {
	note := func(before, after *v1alpha1.MarketplaceAccount, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		var leaves leaving
		leaves.secrets = secretsOf(before)
		if after == nil || after.UID != before.UID {
			leaves.accounts = []*v1alpha1.MarketplaceAccount{before}
		} else {
			still := secretsOf(after)
			leaves.secrets = slices.DeleteFunc(leaves.secrets, func(name string) bool { return slices.Contains(still, name) })
		}
		if len(leaves.accounts)+len(leaves.secrets) > 0 {
			p.add(client.ObjectKeyFromObject(before), leaves)
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

func (p *parting) add(key client.ObjectKey, leaves leaving) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := p.left[key]
	waits.accounts = append(waits.accounts, leaves.accounts...)
	waits.secrets = append(waits.secrets, leaves.secrets...)
	p.left[key] = waits
}

func (p *parting) take(key client.ObjectKey) leaving {
	p.mu.Lock()
	defer p.mu.Unlock()
	leaves := p.left[key]
	delete(p.left, key)
	return leaves
}

// Reconcile sees off whoever had this name, and goes on with whoever has it.
func (p *parting) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	defer p.arrears.looked(request.NamespacedName)
	leaves := p.take(request.NamespacedName)
	for i, account := range leaves.accounts {
		if err := p.seeOff(ctx, account); err != nil {
			p.add(request.NamespacedName, leaving{leaves.accounts[i:], leaves.secrets})
			return reconcile.Result{}, fmt.Errorf("storing what an account leaves behind: %w", err)
		}
	}
	for _, name := range leaves.secrets {
		key := client.ObjectKey{Namespace: request.Namespace, Name: name}
		referred, err := p.referred(ctx, key)
		if err != nil {
			p.add(request.NamespacedName, leaving{secrets: leaves.secrets})
			return reconcile.Result{}, err
		}
		if !referred {
			p.userSecrets.Forget(key)
		}
	}
	return p.staying.Reconcile(ctx, request)
}

// referred tells whether an account in the cache refers to a Secret. One that only a Marketplace refers to is read again.
func (p *parting) referred(ctx context.Context, key client.ObjectKey) (bool, error) {
	var list v1alpha1.MarketplaceAccountList
	if err := p.cache.List(ctx, &list, client.InNamespace(key.Namespace), client.MatchingFields{indexSecret: key.Name},
		client.UnsafeDisableDeepCopy, client.Limit(1)); err != nil {
		return false, fmt.Errorf("listing the accounts of a Secret: %w", err)
	}
	return len(list.Items) > 0, nil
}

// seeOff drops what is in memory of an account that left, and stores before what nobody else has.
func (p *parting) seeOff(ctx context.Context, left *v1alpha1.MarketplaceAccount) error {
	account := &v1alpha1.MarketplaceAccount{}
	err := p.cache.Get(ctx, client.ObjectKeyFromObject(left), account)
	if err == nil && account.UID == left.UID {
		return nil // it came back
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if !p.owes(left) {
		p.forget(left)
		return nil
	}
	account = &v1alpha1.MarketplaceAccount{}
	err = p.Live.Get(ctx, client.ObjectKeyFromObject(left), account)
	if apierrors.IsNotFound(err) || err == nil && account.UID != left.UID {
		p.forget(left)
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.handOver(ctx, account); err != nil {
		return err
	}
	if p.owes(left) {
		return fmt.Errorf("Secret %q cannot be used", left.GrantSecretName())
	}
	p.forget(left)
	return nil
}
