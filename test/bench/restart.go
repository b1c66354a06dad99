package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// restartTime is more than the restart takes, beside the rest before memory is read.
const restartTime = 45 * time.Second

// secretsOfARestart are the Secrets that may be read one by one at a restart, whatever the number of accounts: the key of custody, twice, and the two
// Secrets of the account that was created meanwhile.
const secretsOfARestart = 4

// restarted measures the restart while nothing is due yet, where there is time enough.
func (f *fleet) restarted(ctx context.Context) error {
	left := time.Until(f.quiet())
	if f.restartLater = left < restartTime+f.rest; f.restartLater {
		f.say("tokens are due in %s, so the restart comes last", left)
		return nil
	}
	return f.restartOperator(ctx)
}

// restartedLater gives the fleet tokens that live for long, and then measures the restart.
func (f *fleet) restartedLater(ctx context.Context) error {
	if !f.restartLater {
		return nil
	}
	f.market.allegro().SetLifetimes(demomarket.Lifetimes{Access: longLifetime})
	if err := until(ctx, f.lifetime+time.Minute, func(context.Context) (bool, error) {
		long, soon := true, time.Now().Add(longLifetime/2)
		for _, prefix := range []string{namespace + "/", "guests/"} {
			f.w.each(prefix, func(_ string, a seen) { long = long && (a.expires.After(soon) || a.ready.IsZero()) })
		}
		return long, f.w.err()
	}); err != nil {
		return fmt.Errorf("waiting for tokens that live for long: %w", err)
	}
	if _, err := f.settled(ctx, time.Minute); err != nil {
		return err
	}
	return f.restartOperator(ctx)
}

// restartOperator ends the operator and starts another one while nothing is due, so that whatever it asks or writes is too much,
// but for one account that was created meanwhile: the first useful work that there is. Memory is read here, since what a
// fresh process holds is not what the creation of the fleet has left behind.
func (f *fleet) restartOperator(ctx context.Context) error {
	guest := batch{namespace: "guests-of-restart", prefix: "guest", size: 1}
	if err := f.prepare(ctx, guest); err != nil {
		return err
	}
	if err := f.stopOperator(); err != nil {
		return err
	}
	before, err := f.versions(ctx)
	if err != nil {
		return err
	}
	asked := f.market.answered()
	read, err := f.secretsRead(ctx)
	if err != nil {
		return err
	}
	if err := f.kube.Create(ctx, guest.account(0, f.market)); err != nil {
		return fmt.Errorf("creating an account: %w", err)
	}
	if err := f.startOperator(ctx, fmt.Sprint("--max-concurrent-reconciles=", 4*f.concurrency)); err != nil {
		return err
	}
	ready := time.Since(f.operator.started)
	key := guest.namespace + "/" + guest.name(0)
	if err := until(ctx, 5*time.Minute, func(context.Context) (bool, error) { return !f.w.readyAt(key).IsZero(), f.w.err() }); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	useful := f.w.readyAt(key).Sub(f.operator.started)
	through, err := f.settled(ctx, 5*time.Minute)
	if err != nil {
		return err
	}
	settled := through.Sub(f.operator.started)
	if err := f.restMemory(ctx); err != nil {
		return err
	}
	calls := f.market.answered() - asked - 1 // the new account's
	readNow, err := f.secretsRead(ctx)
	if err != nil {
		return err
	}
	after, err := f.versions(ctx)
	if err != nil {
		return err
	}
	f.say("the operator was ready %s, did its first work %s and was at rest %s after the restart", ready, useful, settled)
	f.add(
		figure{benchmark: restart, name: "token calls", value: float64(calls), unit: "calls"}.atMost(0),
		figure{benchmark: restart, name: "objects written", value: float64(differences(before, after)), unit: "objects"}.atMost(0),
		figure{benchmark: restart, name: "Secrets read one by one", value: readNow - read, unit: "reads"}.atMost(secretsOfARestart),
		figure{benchmark: restart, name: "until it said ready", value: ready.Seconds(), unit: "s"},
		figure{benchmark: restart, name: "until an account that waited was Ready", value: useful.Seconds(), unit: "s"}.atMost(4.9),
		figure{benchmark: restart, name: "until it was at rest", value: settled.Seconds(), unit: "s"},
	)
	return nil
}

// secretsRead is how often the API server was asked for one Secret, by anybody. Lists and watches do not count.
func (b *bench) secretsRead(ctx context.Context) (float64, error) {
	http, err := rest.HTTPClientFor(b.config)
	if err != nil {
		return 0, fmt.Errorf("making a client: %w", err)
	}
	address, err := url.JoinPath(b.config.Host, "metrics") // the host ends with a slash
	if err != nil {
		return 0, fmt.Errorf("the API server's address: %w", err)
	}
	page, err := get(ctx, http, address)
	if err != nil {
		return 0, err
	}
	return sumOf(page, "apiserver_request_total", `resource="secrets"`, `verb="GET"`)
}

// restMemory reads the memory of an operator that has the fleet in its caches and nothing to do.
func (f *fleet) restMemory(ctx context.Context) error {
	if !f.wants(memory) {
		return nil
	}
	resident, alive, err := f.atRest(ctx)
	if err != nil {
		return err
	}
	f.full = resident
	f.say("%.0f MiB with %d accounts, of which %.0f are alive", resident, f.accounts, alive)
	f.add(
		figure{benchmark: memory, name: fmt.Sprintf("%d accounts", f.accounts), value: resident, unit: "MiB"},
		figure{benchmark: memory, name: "for each account", value: (resident - f.bare) * 1024 / float64(f.accounts), unit: "KiB"}.atMost(18),
		figure{benchmark: memory, name: "for each account, alive after a garbage collection", value: (alive - f.bareAlive) * 1024 / float64(f.accounts), unit: "KiB"},
	)
	return nil
}

// versions are the resource versions of the fleet's accounts and Secrets.
func (f *fleet) versions(ctx context.Context) (map[string]string, error) {
	versions := map[string]string{}
	for _, kind := range []string{"MarketplaceAccount", "Secret"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if kind == "MarketplaceAccount" {
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MarketplaceAccountList"))
		}
		if err := f.kube.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("listing: %w", err)
		}
		for i := range list.Items {
			versions[kind+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
	}
	return versions, nil
}

// differences counts the objects that were written, created or deleted.
func differences(before, after map[string]string) int {
	n := 0
	for key, version := range after {
		if before[key] != version {
			n++
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			n++
		}
	}
	return n
}
