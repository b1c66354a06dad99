package main

import (
	"context"
	"fmt"
	"time"
)

// playTurns measures how long new accounts take, in turns: served by the floor, by the operator, and by the floor of two writes. What else the
// machine does meanwhile comes and goes within minutes, and so hits all of them. Each begins as a new process.
func playTurns(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		b.market.allegro().Slow(platformLatency)
		if err := b.marketplace(ctx, b.market); err != nil {
			return nil, err
		}
		w, err := b.watch(ctx)
		if err != nil {
			return nil, err
		}
		served := make([]filled, len(servers))
		for turn := range b.turns {
			for i, who := range servers {
				s := batch{namespace: fmt.Sprintf("turn-%d-%d", turn, i), prefix: "account", size: b.accounts / b.turns}
				f, err := who.fill(ctx, b, w, s)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", who.name, err)
				}
				if err := b.empty(ctx, s.namespace); err != nil {
					return nil, err
				}
				r.say("turn %d, %s: %d accounts were Ready after %s", turn+1, who.name, s.size, f.all)
				served[i] = served[i].and(f)
			}
		}
		return figuresOfTurns(served), nil
	})
}

// servers bring new accounts to Ready, in the order of their turns.
var servers = []struct {
	name string
	fill func(context.Context, *bench, *watcher, batch) (filled, error)
}{
	{"floor", func(ctx context.Context, b *bench, w *watcher, s batch) (filled, error) {
		return b.fillByFloor(ctx, w, s, floorSettings{})
	}},
	{"operator", func(ctx context.Context, b *bench, w *watcher, s batch) (filled, error) {
		return b.fillByNewOperator(ctx, w, s)
	}},
	{"floor of two writes", func(ctx context.Context, b *bench, w *watcher, s batch) (filled, error) {
		return b.fillByFloor(ctx, w, s, floorSettings{TwoWrites: true})
	}},
}

// figuresOfTurns compares the operator with both floors.
func figuresOfTurns(served []filled) []figure {
	var figures []figure
	for i, who := range servers {
		figures = append(figures, served[i].figures(who.name)...)
	}
	byFloor := func(of int) float64 { return served[1].all.Seconds() / served[of].all.Seconds() }
	return append(figures,
		figure{benchmark: create, name: "operator's time by the floor's", value: byFloor(0), unit: "×"}.atMost(1.1),
		figure{benchmark: create, name: "operator's time by that of two writes", value: byFloor(2), unit: "×"},
	)
}

// fillByFloor has the floor bring new accounts to Ready.
func (b *bench) fillByFloor(ctx context.Context, w *watcher, s batch, settings floorSettings) (f filled, err error) {
	floor, err := b.startFloor(ctx, settings)
	if err != nil {
		return f, err
	}
	if f, err = b.fill(ctx, w, s, floor.serve); err == nil {
		f.cpu, err = floor.cpu()
	}
	return f, floor.end(err)
}

// fillByNewOperator has an operator that was just started do so.
func (b *bench) fillByNewOperator(ctx context.Context, w *watcher, s batch) (f filled, err error) {
	if err := b.startOperator(ctx, fmt.Sprint("--max-concurrent-reconciles=", 4*b.concurrency)); err != nil {
		return f, err
	}
	if f, err = b.fillByOperator(ctx, w, s); err != nil {
		return f, err
	}
	return f, b.stopOperator()
}

// fillByOperator has the operator that runs do so.
func (b *bench) fillByOperator(ctx context.Context, w *watcher, s batch) (filled, error) {
	before, err := b.operator.cpu()
	if err != nil {
		return filled{}, err
	}
	f, err := b.fill(ctx, w, s, nobody)
	if err != nil {
		return f, err
	}
	after, err := b.operator.cpu()
	f.cpu = after - before
	return f, err
}

// and is how it went with two batches, one after the other.
func (f filled) and(g filled) filled {
	return filled{all: f.all + g.all, cpu: f.cpu + g.cpu, each: append(f.each, g.each...)}
}

// figures are the figures of benchmark create.
func (f filled) figures(who string) []figure {
	name := func(what string) string { return who + ": " + what }
	return []figure{
		{benchmark: create, name: name("until all are Ready"), value: f.all.Seconds(), unit: "s"},
		{benchmark: create, name: name("from creation to Ready, p50"), value: percentile(f.each, 0.5), unit: "s"},
		{benchmark: create, name: name("from creation to Ready, p99"), value: percentile(f.each, 0.99), unit: "s"},
		{benchmark: create, name: name("processor time for 1,000 accounts"), value: f.cpu.Seconds() / float64(max(1, len(f.each))) * 1000, unit: "s"},
	}
}

// filled is how it went to bring a batch to Ready.
type filled struct {
	// all is the time from the first creation until the last account was Ready, and each that of one account.
	all  time.Duration
	each []time.Duration
	// cpu is the processor time of the program that did it.
	cpu time.Duration
}
