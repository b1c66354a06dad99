package signin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"sync"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
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
	secrets, tickets := needles(t.secrets), needles(t.tickets)
	whole := flag.Lookup("test.run").Value.String() == ""
	if whole && (len(secrets) < 1000 || len(tickets) < 50) {
		return fmt.Errorf("the search for leaked credentials is void: %d parts of secrets, %d of tickets", len(secrets), len(tickets))
	}
	for name, place := range map[string]struct {
		*text
		also map[string]bool
	}{"the logs": {&t.logs, tickets}, "the events": {&t.events, tickets}, "the accounts": {&t.accounts, nil}} {
		if whole && place.said.Len() < 10_000 {
			return fmt.Errorf("the search for leaked credentials is void: %s hold %d bytes", name, place.said.Len())
		}
		for _, forbidden := range []map[string]bool{secrets, place.also} {
			if found := find(place.said.Bytes(), forbidden); found != "" {
				return fmt.Errorf("a credential is in %s: %s", name, found)
			}
		}
		fmt.Fprintf(os.Stdout, "searched %d bytes of %s for %d parts of secrets and %d of tickets: none found\n",
			place.said.Len(), name, len(secrets), len(place.also))
	}
	return nil
}

// shortest is the length of the shortest credential that is looked for; less turns up in any text.
const shortest = 8

// needles are credentials, their ends, and their usual disguises. JWTs of one platform begin alike, so of long ones only
// the end counts.
func needles(secrets map[string]bool) map[string]bool {
	parts := map[string]bool{}
	for secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		sum := sha256.Sum256([]byte(secret))
		for _, part := range []string{
			secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString(sum[:])[:16],
			base64.StdEncoding.EncodeToString(sum[:])[:16], base64.RawURLEncoding.EncodeToString(sum[:])[:16],
		} {
			parts[part] = true
		}
		if len(secret) >= 30 {
			parts[secret[len(secret)-12:]] = true
		}
	}
	return parts
}

// find returns where in a text one of the needles is; empty when none is there. It reads the text once, however many there are.
func find(text []byte, needles map[string]bool) string {
	beginnings := make(map[string][]string, len(needles))
	for needle := range needles {
		beginnings[needle[:shortest]] = append(beginnings[needle[:shortest]], needle)
	}
	for at := 0; at+shortest <= len(text); at++ {
		for _, needle := range beginnings[string(text[at:at+shortest])] {
			if bytes.HasPrefix(text[at:], []byte(needle)) {
				return fmt.Sprintf("…%s…", text[max(0, at-200):min(len(text), at+len(needle)+50)])
			}
		}
	}
	return ""
}
