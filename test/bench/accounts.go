package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// batch are accounts that are created together. Their grant is RefreshToken, and Allegro's refresh tokens rotate: a new
// account then costs the most writes that there are, since the use of a single-use token is put on record before.
type batch struct {
	namespace, prefix string
	size              int
	// on says on which host each account's marketplace is; nil means the market of the bench.
	on func(i int) *host
}

func (s batch) name(i int) string { return fmt.Sprintf("%s-%05d", s.prefix, i) }

func (b *bench) hostOf(s batch, i int) *host {
	if s.on == nil {
		return b.market
	}
	return s.on(i)
}

// prepare creates the Secrets that users bring: the application, and for each account a Secret with its first refresh token.
func (b *bench) prepare(ctx context.Context, s batch) error {
	if err := b.namespace(ctx, s.namespace); err != nil {
		return err
	}
	if err := b.application(ctx, s.namespace); err != nil {
		return err
	}
	return b.each(ctx, s.size, func(ctx context.Context, i int) error {
		return b.kube.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: s.name(i) + "-import", Namespace: s.namespace, Labels: map[string]string{v1alpha1.LabelUse: v1alpha1.UseRefreshToken}},
			Data:       map[string][]byte{v1alpha1.RefreshTokenKeyRefreshToken: []byte(b.hostOf(s, i).mint(s.name(i)))},
		})
	})
}

// each calls a function for each of many numbers, as many at once as there are creators.
func (b *bench) each(ctx context.Context, size int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.creators)
	for i := range size {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// create creates the accounts that were prepared, and tells of each when it is there.
func (b *bench) create(ctx context.Context, w *watcher, s batch, told func(*v1alpha1.MarketplaceAccount) error) error {
	return b.each(ctx, s.size, func(ctx context.Context, i int) error {
		account := s.account(i, b.hostOf(s, i))
		w.creating(account, time.Now())
		if err := b.kube.Create(ctx, account); err != nil {
			return fmt.Errorf("creating an account: %w", err)
		}
		return told(account)
	})
}

func (s batch) account(i int, on *host) *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: s.name(i), Namespace: s.namespace},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: on.marketplace()},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
			Grant: v1alpha1.Grant{
				Type:         v1alpha1.GrantRefreshToken,
				RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: s.name(i) + "-import"}},
			},
		},
	}
}

// fill prepares a batch, creates it and waits until all is Ready.
func (b *bench) fill(ctx context.Context, w *watcher, s batch, told func(*v1alpha1.MarketplaceAccount) error) (filled, error) {
	if err := b.prepare(ctx, s); err != nil {
		return filled{}, fmt.Errorf("preparing accounts: %w", err)
	}
	if err := b.create(ctx, w, s, told); err != nil {
		return filled{}, err
	}
	patience := 2*time.Minute + time.Duration(s.size)*100*time.Millisecond
	var f filled
	err := until(ctx, patience, func(context.Context) (bool, error) {
		var done bool
		f, done = w.filled(s)
		return done, w.err()
	})
	if err != nil {
		return f, fmt.Errorf("%d of %d accounts became Ready: %w", len(f.each), s.size, err)
	}
	return f, nil
}

// no event tells of accounts.
func nobody(*v1alpha1.MarketplaceAccount) error { return nil }

// empty deletes all accounts of a namespace with all their Secrets: there is no garbage collector here.
func (b *bench) empty(ctx context.Context, namespace string) error {
	for _, object := range []client.Object{&v1alpha1.MarketplaceAccount{}, &corev1.Secret{}} {
		if err := b.kube.DeleteAllOf(ctx, object, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("emptying namespace %s: %w", namespace, err)
		}
	}
	return nil
}
