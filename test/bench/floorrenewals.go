package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// playFloor measures the floor's cost of renewing the tokens of the fleet.
func playFloor(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		b.market.allegro().Slow(platformLatency)
		w, err := b.watch(ctx)
		if err != nil {
			return nil, err
		}
		_, last := renewedAfter(b.lifetime)
		return b.renewByFloor(ctx, w, batch{namespace: "floor", prefix: "account", size: b.accounts}, b.lifetime, last)
	})
}

// renewByFloor has the floor create accounts and renew their tokens for a while, and remembers the processor time of a renewal. The accounts
// stay.
func (b *bench) renewByFloor(ctx context.Context, w *watcher, s batch, lifetime, span time.Duration) ([]figure, error) {
	b.market.allegro().SetLifetimes(demomarket.Lifetimes{Access: lifetime})
	floor, err := b.startFloor(ctx, floorSettings{Renews: true})
	if err != nil {
		return nil, err
	}
	if _, err := b.fill(ctx, w, s, floor.serve); err != nil {
		return nil, floor.end(err)
	}
	p, used, err := b.observe(ctx, w, floor.process, s.namespace+"/", span)
	if err := floor.end(err); err != nil {
		return nil, err
	}
	each := used / time.Duration(max(1, len(p.late)))
	b.floor[s.size] = each
	name := fmt.Sprintf("%d accounts of %s, floor: ", s.size, lifetime)
	b.say("the floor took %s of processor time for each of %d renewals", each, len(p.late))
	return []figure{
		{benchmark: renew, name: name + "lateness, p99", value: percentile(p.late, 0.99), unit: "s"},
		{benchmark: renew, name: name + "processor time for 1,000 renewals", value: each.Seconds() * 1000, unit: "s"},
	}, nil
}

// observe lets renewals be planned for a while and done, and returns how they went and the processor time that the program took meanwhile.
func (b *bench) observe(ctx context.Context, w *watcher, of process, prefix string, span time.Duration) (punctuality, time.Duration, error) {
	before, err := of.cpu()
	if err != nil {
		return punctuality{}, 0, err
	}
	from := time.Now()
	to := from.Add(span)
	if err := pause(ctx, span+5*time.Second); err != nil {
		return punctuality{}, 0, err
	}
	after, err := of.cpu()
	if err != nil {
		return punctuality{}, 0, err
	}
	return w.punctuality(prefix, from, to), after - before, w.err()
}

// besideFloor is the processor time of a renewal by the floor's; nothing where that was not measured.
func (r *run) besideFloor(tokens string, accounts int, p punctuality, cpu time.Duration) []figure {
	floor := r.floor[accounts]
	if floor == 0 || len(p.late) == 0 {
		return nil
	}
	each := cpu / time.Duration(len(p.late))
	return []figure{figure{
		benchmark: renew, name: tokens + ": processor time of a renewal by the floor's", value: each.Seconds() / floor.Seconds(), unit: "×",
	}.atMost(1.3)}
}
