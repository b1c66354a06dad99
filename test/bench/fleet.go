package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// playFleet creates accounts by the thousand, looks at the operator while nothing is due, which is until half of the first
// token's life is over, and then watches some rounds of renewals.
func playFleet(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		f := &fleet{bench: b}
		err := f.play(ctx)
		return f.figures, err
	})
}

// fleet is a bench with many accounts.
type fleet struct {
	*bench
	w       *watcher
	figures []figure
	// began is when the first of the fleet's accounts was created.
	began time.Time
	// empty is the operator's memory before there was any account.
	bare, bareAlive float64
	// restartLater tells that there was no time for the restart before tokens were due.
	restartLater bool
}

func (f *fleet) all() batch { return batch{namespace: namespace, prefix: "account", size: f.accounts} }

func (f *fleet) add(figures ...figure) { f.figures = append(f.figures, figures...) }

func (f *fleet) play(ctx context.Context) (err error) {
	market := f.market.allegro()
	market.Slow(platformLatency)
	if err := f.marketplace(ctx, f.market); err != nil {
		return err
	}
	if f.w, err = f.watch(ctx); err != nil {
		return err
	}
	if err := f.startOperator(ctx, fmt.Sprint("--max-concurrent-reconciles=", 4*f.concurrency)); err != nil {
		return err
	}
	for _, step := range []struct {
		serves []string
		take   func(context.Context) error
	}{
		{[]string{memory}, f.atZero},
		{[]string{memory}, f.atFew},
		{benchmarks, f.atFull},
		{[]string{scrape}, f.scraped},
		{[]string{restart, memory}, f.restarted},
		{[]string{renew, arrive, spread, memory}, f.round},
		{[]string{restart, memory}, f.restartedLater},
	} {
		for _, name := range step.serves {
			if f.wants(name) {
				if err := step.take(ctx); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// atZero reads the memory of an operator that has nothing to do.
func (f *fleet) atZero(ctx context.Context) (err error) {
	if f.bare, f.bareAlive, err = f.atRest(ctx); err != nil {
		return err
	}
	f.say("%.0f MiB without accounts", f.bare)
	f.add(figure{benchmark: memory, name: "0 accounts", value: f.bare, unit: "MiB"})
	return nil
}

// atFew creates a few accounts on a cluster that has none, and removes them. Their tokens do not have to be renewed
// meanwhile.
func (f *fleet) atFew(ctx context.Context) error {
	if f.few == f.accounts {
		return nil
	}
	few := batch{namespace: fmt.Sprint("fill-", f.few), prefix: "account", size: f.few}
	filled, err := f.fillByOperator(ctx, f.w, few)
	if err != nil {
		return err
	}
	f.say("%d accounts were Ready after %s", few.size, filled.all)
	if f.wants(memory) {
		resident, _, err := f.atRest(ctx)
		if err != nil {
			return err
		}
		_, peak, err := f.operator.resident()
		if err != nil {
			return err
		}
		f.add(
			figure{benchmark: memory, name: fmt.Sprintf("%d accounts", few.size), value: resident, unit: "MiB"},
			figure{benchmark: memory, name: fmt.Sprintf("%d accounts, peak", few.size), value: peak, unit: "MiB"}.atMost(70),
		)
	}
	if err := f.empty(ctx, few.namespace); err != nil {
		return err
	}
	_, err = f.settled(ctx, time.Minute)
	return err
}

// atFull creates the fleet.
func (f *fleet) atFull(ctx context.Context) error {
	f.market.allegro().SetLifetimes(demomarket.Lifetimes{Access: f.lifetime})
	filled, err := f.fillByOperator(ctx, f.w, f.all())
	if err != nil {
		return err
	}
	f.w.each(namespace+"/", func(_ string, a seen) {
		if f.began.IsZero() || a.created.Before(f.began) {
			f.began = a.created
		}
	})
	f.say("%d accounts were Ready after %s", f.accounts, filled.all)
	return nil
}

// quiet is when the first renewal may be due.
func (f *fleet) quiet() time.Time {
	first, _ := renewedAfter(f.lifetime)
	return f.began.Add(first)
}

// scraped looks at the metrics of the whole fleet.
func (f *fleet) scraped(ctx context.Context) error {
	figures, err := f.measureScrape(ctx, f.accounts)
	f.add(figures...)
	return err
}

// round watches every account being renewed as often as asked, while new accounts arrive.
func (f *fleet) round(ctx context.Context) error {
	rounds := f.rounds
	if !f.wants(spread) && !f.wants(arrive) {
		rounds = 1
	}
	_, last := renewedAfter(f.lifetime) // and the youngest tokens are obtained when the fleet is full
	end := time.Now().Add(last*time.Duration(rounds) + 10*time.Second)
	from := f.quiet()
	if err := pause(ctx, max(0, time.Until(from))); err != nil {
		return err
	}
	if now := time.Now(); now.After(from) {
		from = now // renewals that were due meanwhile were late for another reason
	}
	used, err := f.operator.cpu()
	if err != nil {
		return err
	}
	arriving, memories, err := f.watchRounds(ctx, end)
	if err != nil {
		return err
	}
	after, err := f.operator.cpu()
	if err != nil {
		return err
	}
	// Renewals that were planned for the last moments have had no time to be late.
	p := f.w.punctuality(namespace+"/", from, time.Now().Add(-5*time.Second))
	tokens := fmt.Sprintf("%d accounts of %s", f.accounts, f.lifetime)
	f.add(p.figures(tokens, after-used)...)
	f.add(f.besideFloor(tokens, f.accounts, p, after-used)...)
	f.add(arriving...)
	f.add(memories...)
	f.add(f.spreadOut()...)
	return f.w.err()
}

// watchRounds lets accounts arrive, and looks at the memory, until the end or until all were renewed often enough.
func (f *fleet) watchRounds(ctx context.Context, end time.Time) (arriving, memories []figure, err error) {
	var arrivals, sizes []time.Duration
	guests := batch{namespace: "guests", prefix: "guest", size: int(time.Until(end)/arrivalInterval) + 1}
	if err := f.prepare(ctx, guests); err != nil {
		return nil, nil, err
	}
	said := time.Now()
	for i := 0; i < guests.size && time.Now().Before(end) && !f.renewedOften(); i++ {
		next := time.Now().Add(arrivalInterval)
		took, err := f.arrival(ctx, guests, i)
		if err != nil {
			return nil, nil, err
		}
		arrivals = append(arrivals, took)
		resident, _, err := f.operator.resident()
		if err != nil {
			return nil, nil, err
		}
		sizes = append(sizes, time.Duration(resident*float64(time.Second))) // for the sake of percentile
		if time.Since(said) > time.Minute {
			said = time.Now()
			f.say("%d renewals, %.0f MiB, until %s at the latest", len(f.w.between(namespace+"/", f.began, said)), resident, end.Format(time.TimeOnly))
		}
		if err := pause(ctx, max(0, time.Until(next))); err != nil {
			return nil, nil, err
		}
	}
	_, peak, err := f.operator.resident()
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%d accounts, while they are renewed", f.accounts)
	return []figure{
			{benchmark: arrive, name: "new accounts", value: float64(len(arrivals)), unit: "accounts"},
			{benchmark: arrive, name: "from creation to Ready, p50", value: percentile(arrivals, 0.5), unit: "s"},
			figure{benchmark: arrive, name: "from creation to Ready, p99", value: percentile(arrivals, 0.99), unit: "s"}.atMost(2),
		}, []figure{
			{benchmark: memory, name: name + ", median", value: percentile(sizes, 0.5), unit: "MiB"},
			figure{benchmark: memory, name: name + ", peak since the start", value: peak, unit: "MiB"}.atMost(256),
		}, nil
}

// arrivalInterval is how often a new account arrives while older accounts are renewed.
const arrivalInterval = 2 * time.Second

// arrival creates one account and returns how long it took to become Ready.
func (f *fleet) arrival(ctx context.Context, s batch, i int) (time.Duration, error) {
	account := s.account(i, f.market)
	key := s.namespace + "/" + s.name(i)
	began := time.Now()
	f.w.creating(account, began)
	if err := f.kube.Create(ctx, account); err != nil {
		return 0, fmt.Errorf("creating an account: %w", err)
	}
	if err := until(ctx, 2*time.Minute, func(context.Context) (bool, error) {
		return !f.w.readyAt(key).IsZero(), f.w.err()
	}); err != nil {
		return 0, fmt.Errorf("an account that arrived is not Ready: %w", err)
	}
	return f.w.readyAt(key).Sub(began), nil
}

// renewedOften tells whether every account was renewed as often as asked.
func (f *fleet) renewedOften() bool {
	often := true
	f.w.each(namespace+"/", func(_ string, a seen) { often = often && a.count >= f.rounds })
	return often && f.wants(spread)
}
