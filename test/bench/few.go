package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// playFew watches tokens that live for seconds, on two hosts: the cost of a renewal, the effect of one host on the other when it
// hangs, and the fate of grants that are dead.
func playFew(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		f := &few{bench: b}
		err := f.play(ctx)
		return f.figures, err
	})
}

type few struct {
	*bench
	w       *watcher
	figures []figure
	// before is how punctual the accounts were that another host is about to disturb, and halves the same for either half of the time.
	before punctuality
	halves [2]punctuality
	// byOthers are the token calls before the operator's accounts were created.
	byOthers int
}

// here are the accounts at one host, and there the accounts at another.
func (f *few) here() batch { return batch{namespace: namespace, prefix: "here", size: f.few / 2} }

func (f *few) there() batch {
	return batch{namespace: namespace, prefix: "there", size: f.few - f.few/2, on: func(int) *host { return f.other }}
}

// span is how long renewals are watched: long enough for two of each token.
func (f *few) span() time.Duration {
	_, last := renewedAfter(f.short)
	return 2 * last
}

func (f *few) play(ctx context.Context) (err error) {
	f.other = newHost("localhost")
	for _, h := range []*host{f.market, f.other} {
		h.allegro().SetLifetimes(demomarket.Lifetimes{Access: f.short})
		h.allegro().Slow(platformLatency)
		if err := f.marketplace(ctx, h); err != nil {
			return err
		}
	}
	if f.w, err = f.watch(ctx); err != nil {
		return err
	}
	if f.wants(renew) {
		if err := f.byFloor(ctx); err != nil {
			return err
		}
	}
	if f.wants(renew) || f.wants(hang) || f.wants(calls) {
		if err := f.living(ctx); err != nil {
			return err
		}
	}
	if f.wants(dead) {
		return f.dying(ctx)
	}
	return nil
}

// byFloor has the floor take the operator's next steps.
func (f *few) byFloor(ctx context.Context) error {
	s := batch{namespace: "floor", prefix: "account", size: f.few}
	figures, err := f.renewByFloor(ctx, f.w, s, f.short, f.span())
	f.figures = append(f.figures, figures...)
	if err != nil {
		return err
	}
	return f.empty(ctx, s.namespace)
}

// answered are the token calls that both hosts have had.
func (f *few) answered() int { return f.market.answered() + f.other.answered() }

// living are the accounts whose grants are good.
func (f *few) living(ctx context.Context) error {
	f.byOthers = f.answered()
	if err := f.startOperator(ctx); err != nil {
		return err
	}
	for _, s := range []batch{f.here(), f.there()} {
		if _, err := f.fill(ctx, f.w, s, nobody); err != nil {
			return err
		}
	}
	if f.wants(calls) {
		if err := f.count(ctx); err != nil {
			return err
		}
	}
	if f.wants(renew) || f.wants(hang) {
		if err := f.punctual(ctx); err != nil {
			return err
		}
	}
	if f.wants(hang) {
		if err := f.hanging(ctx); err != nil {
			return err
		}
	}
	// Those at the other host may have been given up, since it kept their single-use tokens without an answer.
	return f.empty(ctx, namespace)
}

// count counts the requests of a renewal, after each account was renewed once, so that nothing of its creation is counted.
func (f *few) count(ctx context.Context) (err error) {
	counter, err := newCounter(f.config)
	if err != nil {
		return err
	}
	defer counter.server.Close()
	kubeconfig, err := counter.kubeconfig()
	if err != nil {
		return err
	}
	if err := f.through(ctx, kubeconfig); err != nil {
		return err
	}
	if err := until(ctx, f.short, func(context.Context) (bool, error) {
		again := true
		f.w.each(namespace+"/", func(_ string, a seen) { again = again && a.count > 0 })
		return again, f.w.err()
	}); err != nil {
		return fmt.Errorf("waiting for the first renewal of all: %w", err)
	}
	if err := pause(ctx, 5*time.Second); err != nil { // the last of these have a status to write
		return err
	}
	counter.begin()
	if err := pause(ctx, f.span()); err != nil {
		return err
	}
	made, renewals := counter.end()
	if renewals == 0 {
		return fmt.Errorf("nothing was renewed in %s", f.span())
	}
	// Nothing is under way when the operator has ended, so that all calls so far belong to a first token or to a renewal.
	if err := f.stopOperator(); err != nil {
		return err
	}
	issued, err := f.issued(ctx)
	if err != nil {
		return err
	}
	told := float64(f.answered()-f.byOthers-f.few) / float64(issued-f.few)
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		f.say("%s: %d for %d renewals", kind, made[kind], renewals)
	}
	reads, writes, events := made.sum()
	each := func(n int) float64 { return float64(n) / float64(renewals) }
	f.figures = append(f.figures,
		figure{benchmark: calls, name: "writes for each renewal", value: each(writes), unit: "writes"}.atMost(4),
		figure{benchmark: calls, name: "reads for each renewal", value: each(reads), unit: "reads"}.atMost(1),
		figure{benchmark: calls, name: "token calls for each renewal", value: told, unit: "calls"}.atMost(1),
		figure{benchmark: calls, name: "events for each renewal", value: each(events), unit: "events"},
	)
	return f.through(ctx, f.cluster.Kubeconfig())
}

// issued is how many tokens the accounts have got and stored.
func (f *few) issued(ctx context.Context) (int, error) {
	var secrets corev1.SecretList
	if err := f.kube.List(ctx, &secrets, client.InNamespace(namespace)); err != nil {
		return 0, fmt.Errorf("listing the grants: %w", err)
	}
	issued := 0
	for i := range secrets.Items {
		if secrets.Items[i].Type != v1alpha1.SecretTypeGrant {
			continue
		}
		custody, err := tokensecret.DecodeCustody(&secrets.Items[i])
		if err != nil {
			return 0, fmt.Errorf("Secret %q: %w", secrets.Items[i].Name, err)
		}
		issued += int(custody.Serial)
	}
	return issued, nil
}

// through restarts the operator with another way to the API server.
func (f *few) through(ctx context.Context, kubeconfig []byte) error {
	if err := f.stopOperator(); err != nil {
		return err
	}
	if err := f.startOperatorOn(ctx, kubeconfig); err != nil {
		return err
	}
	return f.idle(ctx, time.Minute)
}

// punctual measures how late tokens of seconds are renewed.
func (f *few) punctual(ctx context.Context) error {
	from := time.Now()
	p, used, err := f.observe(ctx, f.w, f.operator.process, namespace+"/", f.span())
	if err != nil {
		return err
	}
	half, to := from.Add(f.span()/2), from.Add(f.span())
	f.before = f.w.punctuality(namespace+"/here", from, to)
	f.halves = [2]punctuality{f.w.punctuality(namespace+"/here", from, half), f.w.punctuality(namespace+"/here", half, to)}
	if f.wants(renew) {
		tokens := fmt.Sprintf("%d accounts of %s", f.few, f.short)
		f.figures = append(f.figures, p.figures(tokens, used)...)
		f.figures = append(f.figures, f.besideFloor(tokens, f.few, p, used)...)
	}
	return nil
}

// hanging measures the same while the other host accepts requests and answers none: each ends when the operator gives up,
// after 30 seconds.
func (f *few) hanging(ctx context.Context) error {
	f.say("half of the accounts are at a host that hangs from now on")
	fault := f.other.allegro().Inject(demomarket.Hang())
	during, _, err := f.observe(ctx, f.w, f.operator.process, namespace+"/here", f.span())
	if err != nil {
		return err
	}
	f.say("%d requests hung", fault.Hits())
	fault.Clear()
	for _, share := range []struct {
		name  string
		value float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		without, with := percentile(f.before.late, share.value), percentile(during.late, share.value)
		f.figures = append(f.figures,
			figure{benchmark: hang, name: "lateness at the other host, " + share.name + ", before", value: without, unit: "s"},
			figure{benchmark: hang, name: "lateness at the other host, " + share.name + ", meanwhile", value: with, unit: "s"},
			figure{benchmark: hang, name: "lateness at the other host, " + share.name + ", meanwhile by before", value: with / max(without, 0.001), unit: "×"}.atMost(1.1),
			figure{
				benchmark: hang, name: "lateness at the other host, " + share.name + ", the worse half of the time before by the better", unit: "×",
				value: apart(percentile(f.halves[0].late, share.value), percentile(f.halves[1].late, share.value)),
			},
		)
	}
	f.figures = append(f.figures,
		figure{benchmark: hang, name: "tokens expired at the other host", value: float64(during.expired), unit: "tokens"}.atMost(0),
		figure{benchmark: hang, name: "untold by a status at the other host", value: float64(f.before.untold + during.untold), unit: "tokens"}.atMost(0),
	)
	return nil
}

// apart is how many times the smaller the larger is.
func apart(a, b float64) float64 { return max(a, b) / max(min(a, b), 0.001) }

// dying are accounts whose grants the marketplace ends. Each is noticed by one refusal.
func (f *few) dying(ctx context.Context) error {
	s := batch{namespace: "dying", prefix: "account", size: f.few}
	if f.operator == nil {
		if err := f.startOperator(ctx); err != nil {
			return err
		}
	}
	if _, err := f.fill(ctx, f.w, s, nobody); err != nil {
		return err
	}
	f.market.allegro().RevokeGrants()
	refused := func() int { return f.market.allegro().Report().Count("", demomarket.InvalidGrant) }
	asked, already := f.market.answered(), refused()
	if err := until(ctx, 2*f.short, func(context.Context) (bool, error) { return refused()-already >= s.size, f.operator.alive() }); err != nil {
		return fmt.Errorf("%d of %d dead grants were noticed: %w", refused()-already, s.size, err)
	}
	noticed := f.market.answered() - asked
	if err := pause(ctx, f.patience); err != nil {
		return err
	}
	later := f.market.answered() - asked - noticed
	if err := f.through(ctx, f.cluster.Kubeconfig()); err != nil {
		return err
	}
	if err := pause(ctx, f.patience/3); err != nil {
		return err
	}
	f.figures = append(f.figures,
		figure{benchmark: dead, name: "calls for each dead grant", value: float64(noticed) / float64(s.size), unit: "calls"}.atMost(1),
		figure{benchmark: dead, name: fmt.Sprintf("calls in the %s after", f.patience), value: float64(later), unit: "calls"}.atMost(0),
		figure{benchmark: dead, name: "calls by a restarted operator", value: float64(f.market.answered() - asked - noticed - later), unit: "calls"}.atMost(0),
	)
	return nil
}
