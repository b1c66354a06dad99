package testworld

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

// Transcript collects all that the operator says to anybody but a browser, and what must not be in it. Its zero value is empty.
type Transcript struct {
	// Logs hold what was counted, too. Accounts hold Marketplaces as well.
	Logs, Accounts, Events Text

	mu      sync.Mutex // guards the fields below
	markets []*demomarket.Server
	// secrets must be nowhere, tickets in accounts alone.
	secrets, tickets map[string]bool
}

// Text is written and read by many goroutines.
type Text struct {
	mu   sync.Mutex
	said bytes.Buffer
}

// Write implements io.Writer.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.Write(p)
}

// Bytes are the bytes written until now.
func (t *Text) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.said.Bytes())
}

func (t *Text) object(object any) error {
	written, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, err = t.Write(written)
	return err
}

// Market makes all tokens that a demo marketplace issues count as secrets.
func (t *Transcript) Market(server *demomarket.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.markets = append(t.markets, server)
}

// Secret names a text that must be nowhere.
func (t *Transcript) Secret(values ...string) { t.note(&t.secrets, values) }

// Ticket names a text that must be in accounts alone.
func (t *Transcript) Ticket(values ...string) { t.note(&t.tickets, values) }

func (t *Transcript) note(known *map[string]bool, values []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *known == nil {
		*known = map[string]bool{}
	}
	for _, value := range values {
		(*known)[value] = true
	}
}

// Metrics writes down the metrics.
func (t *Transcript) Metrics(counted prometheus.Gatherer) error {
	families, err := counted.Gather()
	if err != nil {
		return fmt.Errorf("gathering the metrics: %w", err)
	}
	for _, family := range families {
		fmt.Fprintln(&t.Logs, family)
	}
	return nil
}

// Record writes down every state of every account, until the returned function is called.
func (t *Transcript) Record(ctx context.Context, kube client.WithWatch) (stop func(), err error) {
	watch, err := kube.Watch(ctx, &v1alpha1.MarketplaceAccountList{})
	if err != nil {
		return nil, fmt.Errorf("watching the accounts: %w", err)
	}
	var going sync.WaitGroup
	going.Go(func() {
		for change := range watch.ResultChan() {
			if err := t.Accounts.object(change.Object); err != nil {
				fmt.Fprintln(os.Stderr, "writing down an account:", err)
			}
		}
	})
	return func() { watch.Stop(); going.Wait() }, nil
}

// Check looks for a panic and for credentials in everything that was said. Where the whole suite ran, a transcript of fewer than minSecrets
// parts of credentials or less than minBytes in the logs is an error, since a search in it proves nothing.
func (t *Transcript) Check(ctx context.Context, kube client.Reader, minSecrets, minBytes int) error {
	for list, text := range map[client.ObjectList]*Text{
		&v1alpha1.MarketplaceAccountList{}: &t.Accounts, &v1alpha1.MarketplaceList{}: &t.Accounts, &eventsv1.EventList{}: &t.Events,
	} {
		if err := kube.List(ctx, list); err != nil {
			return fmt.Errorf("listing what was said: %w", err)
		}
		if err := text.object(list); err != nil {
			return fmt.Errorf("writing down what was said: %w", err)
		}
	}
	logs := t.Logs.Bytes()
	if at := bytes.Index(logs, []byte("Observed a panic")); at >= 0 {
		return fmt.Errorf("the operator panicked: %s", logs[at:min(len(logs), at+3000)])
	}
	secrets, tickets := t.forbidden()
	whole := flag.Lookup("test.run").Value.String() == ""
	if whole && (secrets.Parts() < minSecrets || len(logs) < minBytes) {
		return fmt.Errorf("the search for leaked credentials is void: %d parts of credentials, %d bytes of logs", secrets.Parts(), len(logs))
	}
	return t.search(os.Stdout, secrets, tickets)
}

// Tickets is how many parts of tickets are looked for.
func (t *Transcript) Tickets() int {
	_, tickets := t.forbidden()
	return tickets.Parts()
}

func (t *Transcript) forbidden() (secrets, tickets leak.Search) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Keys(t.secrets))
	for _, market := range t.markets {
		all = append(all, market.Secrets()...)
	}
	return leak.For(all...), leak.For(slices.Collect(maps.Keys(t.tickets))...)
}

func (t *Transcript) search(report io.Writer, secrets, tickets leak.Search) error {
	for _, place := range []struct {
		name string
		text *Text
		also leak.Search
	}{{"the logs", &t.Logs, tickets}, {"the events", &t.Events, tickets}, {"the accounts", &t.Accounts, leak.Search{}}} {
		said := place.text.Bytes()
		for _, forbidden := range []leak.Search{secrets, place.also} {
			if found := forbidden.In(said); found != "" {
				return fmt.Errorf("a credential is in %s: %s", place.name, found)
			}
		}
		fmt.Fprintf(report, "searched %d bytes of %s for %d parts of secrets and %d of tickets: none found\n",
			len(said), place.name, secrets.Parts(), place.also.Parts())
	}
	return nil
}
