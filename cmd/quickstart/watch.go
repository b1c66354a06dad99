package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// drawInterval is how often the table is looked at, and at most drawn.
const drawInterval = time.Second

// watch shows the accounts until ctx ends, or with --once until there is nothing to wait for any more. It returns an
// error when a program that the show needs has ended.
func (s *show) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	accounts, err := newAccounts(ctx, s.cluster)
	if err != nil {
		return err
	}
	lost := make(chan error, 1)
	go func() { lost <- s.cluster.guard(ctx) }()
	var over <-chan time.Time // never, without --once
	if s.once {
		over = time.After(s.timeout)
	}
	ticks := time.NewTicker(drawInterval)
	defer ticks.Stop()
	shown := &progress{show: s, board: board{expected: accountsIn(s.samples)}, visits: visits{}}
	for {
		if err := shown.update(ctx, accounts); err != nil {
			return err
		}
		if s.once {
			shown.signIn(ctx)
		}
		if s.once && shown.board.done() {
			s.screen.print("\nEvery sample account is Ready, and a token was renewed.\n")
			return nil
		}
		select {
		case <-ticks.C:
		case <-over:
			return shown.undone()
		case err := <-lost:
			return s.ended(ctx, err)
		case <-s.operator.ended:
			return s.operator.lost()
		case <-s.market.ended:
			return s.market.lost()
		case <-ctx.Done():
			return s.ended(ctx, nil)
		}
	}
}

// ended is the error, if it is one, about an end that came from outside. Without --once people end the show themselves.
func (s *show) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !s.once {
		return nil
	}
	return errors.Join(err, context.Cause(ctx))
}

// newAccounts returns a cache of the accounts that is filled.
func newAccounts(ctx context.Context, cluster *cluster) (cache.Cache, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	accounts, err := cache.New(cluster.config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a cache: %w", err)
	}
	go func() { _ = accounts.Start(ctx) }() // its errors show where it is read
	if _, err := accounts.GetInformer(ctx, &v1alpha1.MarketplaceAccount{}); err != nil {
		return nil, fmt.Errorf("watching the accounts: %w", err)
	}
	if !accounts.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	return accounts, nil
}

// progress is the part of the board that has been shown.
type progress struct {
	*show
	board  board
	drawn  string // last
	told   bool   // what to try next
	visits visits // of the person whom --once plays
}

// update looks at the accounts and shows their changes.
func (v *progress) update(ctx context.Context, accounts cache.Cache) error {
	var list v1alpha1.MarketplaceAccountList
	if err := accounts.List(ctx, &list); err != nil {
		if ctx.Err() != nil {
			return v.ended(ctx, nil)
		}
		return fmt.Errorf("listing the accounts: %w", err)
	}
	v.board.observe(list.Items)
	v.draw()
	if !v.once && !v.told && v.board.settled() {
		text, err := v.hints().text()
		if err != nil {
			return err
		}
		v.screen.print("\n" + text)
		v.told = true
	}
	return nil
}

// draw shows the table, and the links to people who are there, when something of it is new.
func (v *progress) draw() {
	table, below := v.board.table(time.Local), ""
	if !v.once {
		below = v.board.waiting()
	}
	if table+below != v.drawn {
		v.drawn = table + below
		v.screen.draw(table, below)
	}
}

// signIn plays the person that accounts wait for.
func (v *progress) signIn(ctx context.Context) {
	for _, i := range v.board.invitations() {
		if v.visits.over(i) {
			continue
		}
		_ = v.screen.step(fmt.Sprintf("Signing in as a person would, for %s at %s", i.account, i.url), func() error {
			return v.visits.note(i, i.accept(ctx, v.market.url))
		}) // it is noted
	}
}

// undone is the error when the time of --once is over.
func (v *progress) undone() error {
	missing := append(v.board.missing(), v.visits.failed(v.board.invitations())...)
	err := fmt.Errorf("not everything came about within %s:\n  %s", v.timeout, strings.Join(missing, "\n  "))
	return withLog(err, v.operator.name, v.operator.log)
}
