package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// playFloor measures how long a bare program takes for new accounts: first few of them, then, when they are gone, the
// fleet. The operator does the same on a cluster that is as new as this one.
func playFloor(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		b.market.allegro().Slow(platformLatency)
		w, err := b.watch(ctx)
		if err != nil {
			return nil, err
		}
		var figures []figure
		for _, size := range b.sizes() {
			f, err := b.fillByFloor(ctx, w, batch{namespace: fmt.Sprint("fill-", size), prefix: "account", size: size})
			if err != nil {
				return nil, err
			}
			if err := b.empty(ctx, fmt.Sprint("fill-", size)); err != nil {
				return nil, err
			}
			r.floor[size] = f
			r.say("the floor took %s for %d accounts", f.all, size)
			figures = append(figures, f.figures("floor", size)...)
		}
		return figures, nil
	})
}

// sizes are how many new accounts are measured.
func (o options) sizes() []int {
	if o.few == o.accounts {
		return []int{o.few}
	}
	return []int{o.few, o.accounts}
}

// figures are those of benchmark create.
func (f filled) figures(who string, size int) []figure {
	name := func(what string) string { return fmt.Sprintf("%d accounts, %s: %s", size, who, what) }
	return []figure{
		{benchmark: create, name: name("until all are Ready"), value: f.all.Seconds(), unit: "s"},
		{benchmark: create, name: name("from creation to Ready, p50"), value: percentile(f.each, 0.5), unit: "s"},
		{benchmark: create, name: name("from creation to Ready, p99"), value: percentile(f.each, 0.99), unit: "s"},
		{benchmark: create, name: name("its processor time"), value: f.cpu.Seconds(), unit: "s"},
	}
}

// besideFloor are the operator's figures, with what they are of the floor's where that was measured.
func (r *run) besideFloor(f filled, size int) []figure {
	figures := f.figures("operator", size)
	if floor, ok := r.floor[size]; ok {
		figures = append(figures, figure{
			benchmark: create, name: fmt.Sprintf("%d accounts: operator's time by the floor's", size), value: f.all.Seconds() / floor.all.Seconds(), unit: "×",
		}.atMost(1.3))
	}
	return figures
}

// fillByFloor runs the floor as a process of its own, as the operator is one, and tells it of each account that was created.
func (b *bench) fillByFloor(ctx context.Context, w *watcher, s batch) (f filled, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, fmt.Errorf("finding this program: %w", err)
	}
	process := exec.CommandContext(ctx, self, floorArgument) //nolint:gosec // ourselves
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		return f, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return f, err
	}
	if err := process.Start(); err != nil {
		return f, fmt.Errorf("starting the floor: %w", err)
	}
	defer func() {
		if e := errors.Join(in.Close(), process.Wait()); e != nil {
			err = errors.Join(err, fmt.Errorf("ending the floor: %w", e))
			return
		}
		f.cpu = process.ProcessState.UserTime() + process.ProcessState.SystemTime()
	}()
	lines := &lines{to: json.NewEncoder(in)}
	if err := lines.write(floorSettings{
		Kubeconfig: b.cluster.Kubeconfig(), TokenURL: b.market.url + "/allegro/auth/oauth/token", Concurrency: b.concurrency,
	}); err != nil {
		return f, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("waiting for the floor: %w", err)
	}
	return b.fill(ctx, w, s, func(account *v1alpha1.MarketplaceAccount) error {
		return lines.write(floorAccount{Namespace: account.Namespace, Name: account.Name, UID: string(account.UID)})
	})
}

// lines writes JSON lines for many goroutines.
type lines struct {
	mu sync.Mutex
	to *json.Encoder
}

func (l *lines) write(value any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Encode(value)
}
