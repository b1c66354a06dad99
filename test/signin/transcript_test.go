package signin_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

// transcript collects all that operator and portal say to anybody but a browser, and what must not be in it.
type transcript struct {
	// logs hold the metrics, too. accounts hold every state of every account.
	logs, accounts, events text

	mu      sync.Mutex // guards what follows
	markets []*demomarket.Server
	// secrets must be nowhere, tickets in accounts alone.
	secrets, tickets map[string]bool
}

// text is written by many.
type text struct {
	mu   sync.Mutex
	said bytes.Buffer
}

// Write implements io.Writer.
func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.Write(p)
}

func (t *transcript) market(server *demomarket.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.markets = append(t.markets, server)
}

func (t *transcript) secret(values ...string) { t.note(&t.secrets, values) }

func (t *transcript) ticket(values ...string) { t.note(&t.tickets, values) }

func (t *transcript) note(known *map[string]bool, values []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *known == nil {
		*known = map[string]bool{}
	}
	for _, value := range values {
		(*known)[value] = true
	}
}

// record writes down every state of every account, until the returned function is called.
func (t *transcript) record(ctx context.Context) (stop func(), err error) {
	watch, err := kube.Watch(ctx, &v1alpha1.MarketplaceAccountList{})
	if err != nil {
		return nil, fmt.Errorf("watching the accounts: %w", err)
	}
	var going sync.WaitGroup
	going.Go(func() {
		for change := range watch.ResultChan() {
			if err := t.accounts.object(change.Object); err != nil {
				fmt.Fprintln(os.Stderr, "writing down an account:", err)
			}
		}
	})
	return func() { watch.Stop(); going.Wait() }, nil
}

func (t *text) object(object any) error {
	written, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, err = t.Write(written)
	return err
}

// leaks looks for credentials in everything that was said.
func (t *transcript) leaks(ctx context.Context) error {
	for list, text := range map[client.ObjectList]*text{
		&v1alpha1.MarketplaceAccountList{}: &t.accounts, &v1alpha1.MarketplaceList{}: &t.accounts, &eventsv1.EventList{}: &t.events,
	} {
		if err := kube.List(ctx, list); err != nil {
			return fmt.Errorf("listing what was said: %w", err)
		}
		if err := text.object(list); err != nil {
			return fmt.Errorf("writing down what was said: %w", err)
		}
	}
	for _, market := range t.markets {
		t.secret(market.Secrets()...)
	}
	secrets, tickets := leak.For(slices.Collect(maps.Keys(t.secrets))...), leak.For(slices.Collect(maps.Keys(t.tickets))...)
	whole := flag.Lookup("test.run").Value.String() == ""
	if whole && (secrets.Parts() < 1000 || tickets.Parts() < 50) {
		return fmt.Errorf("the search for leaked credentials is void: %d parts of secrets, %d of tickets", secrets.Parts(), tickets.Parts())
	}
	for name, place := range map[string]struct {
		*text
		also leak.Search
	}{"the logs": {&t.logs, tickets}, "the events": {&t.events, tickets}, "the accounts": {&t.accounts, leak.Search{}}} {
		if whole && place.said.Len() < 10_000 {
			return fmt.Errorf("the search for leaked credentials is void: %s hold %d bytes", name, place.said.Len())
		}
		for _, forbidden := range []leak.Search{secrets, place.also} {
			if found := forbidden.In(place.said.Bytes()); found != "" {
				return fmt.Errorf("a credential is in %s: %s", name, found)
			}
		}
		fmt.Fprintf(os.Stdout, "searched %d bytes of %s for %d parts of secrets and %d of tickets: none found\n",
			place.said.Len(), name, secrets.Parts(), place.also.Parts())
	}
	return nil
}
