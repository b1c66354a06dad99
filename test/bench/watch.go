package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// watcher sees what anybody could see: accounts, and the token Secrets that workloads mount. It decodes no more of them
// than it needs, since it shares the machine with what it measures.
type watcher struct {
	mu       sync.Mutex
	accounts map[string]*seen // by namespace/name
	renewals []renewed
	// told are statuses that told of a token, and untold renewals of tokens that no status had told of.
	told, untold []told
	broken       error
}

// seen is what is known of an account.
type seen struct {
	uid            string
	created, ready time.Time
	// expires is when the token in its Secret expires, shown when it was first seen there, and plans when the latest tokens are to be
	// renewed.
	expires, shown time.Time
	plans          []plan
	// count is how often its token was replaced.
	count int
}

// planned tells whether a status has told of the token that expires then.
func (a *seen) planned(expires time.Time) bool {
	return slices.ContainsFunc(a.plans, func(p plan) bool { return p.expires.Equal(expires) })
}

// plan is when a token, known by its expiry, is to be renewed.
type plan struct{ expires, at time.Time }

// renewed is a token Secret whose token was replaced.
type renewed struct {
	account string
	// round counts the renewals of this account, from 1.
	round       int
	at, planned time.Time
	// expired tells that the token before had expired in its Secret.
	expired bool
}

// told is when a status told of a token, and how long after the token was in its Secret.
type told struct {
	account string
	at      time.Time
	after   time.Duration
}

func (r renewed) lateness() time.Duration { return max(0, r.at.Sub(r.planned)) }

// watchEvent is what is decoded of an event: of an account, or of a token Secret.
type watchEvent struct {
	Type   string `json:"type"`
	Object struct {
		Metadata struct {
			Namespace       string `json:"namespace"`
			Name            string `json:"name"`
			UID             string `json:"uid"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Status struct {
			Conditions []struct {
				Type   string                 `json:"type"`
				Status metav1.ConditionStatus `json:"status"`
			} `json:"conditions"`
			AccessToken struct {
				ExpirationTime time.Time `json:"expirationTime"`
				RenewalTime    time.Time `json:"renewalTime"`
			} `json:"accessToken"`
		} `json:"status"`
		Data struct {
			ExpiresAt []byte `json:"expires_at"`
		} `json:"data"`
	} `json:"object"`
}

// watch begins to watch all namespaces, until the bench is closed.
func (b *bench) watch(ctx context.Context) (*watcher, error) {
	connection, err := rest.HTTPClientFor(b.config)
	if err != nil {
		return nil, err
	}
	ctx, b.unwatch = context.WithCancel(ctx)
	host := strings.TrimSuffix(b.config.Host, "/")
	w := &watcher{accounts: map[string]*seen{}}
	for _, kind := range []struct {
		address string
		take    func(watchEvent, time.Time)
	}{
		{"/apis/tokenkeeper.dev/v1alpha1/marketplaceaccounts?watch=1", w.takeAccount},
		// The grant Secrets, which are of another type, are nobody's business.
		{"/api/v1/secrets?watch=1&fieldSelector=type%3DOpaque&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dtokenkeeper", w.takeSecret},
	} {
		stream := &stream{connection: connection, address: host + kind.address}
		if err := stream.open(ctx); err != nil {
			return nil, err
		}
		go w.follow(ctx, stream, kind.take)
	}
	return w, nil
}

// stream is a watch.
type stream struct {
	connection *http.Client
	address    string
	// version is that of the last event; empty while there was none.
	version string
	body    io.ReadCloser
}

// open asks for the watch, after the last event that came, until it gets it: an API server that has just learned of a kind
// refuses it for a moment.
func (s *stream) open(ctx context.Context) error {
	return until(ctx, 30*time.Second, func(context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address+"&timeoutSeconds=86400&resourceVersion="+s.version, http.NoBody)
		if err != nil {
			return false, err
		}
		response, err := s.connection.Do(request) //nolint:bodyclose // read closes it
		if err != nil {
			return false, fmt.Errorf("watching: %w", err)
		}
		if s.body = response.Body; response.StatusCode == http.StatusOK {
			return true, nil
		}
		_ = s.body.Close()
		if response.StatusCode == http.StatusTooManyRequests {
			return false, nil
		}
		return false, fmt.Errorf("watching: %s", response.Status)
	})
}

// follow reads a watch until ctx ends, also when the API server ends it, as it does when it has just learned of a kind.
func (w *watcher) follow(ctx context.Context, s *stream, take func(watchEvent, time.Time)) {
	for {
		err := s.read(take)
		if ctx.Err() == nil && errors.Is(err, io.EOF) {
			err = s.open(ctx)
		}
		if err != nil {
			if ctx.Err() == nil {
				w.mu.Lock()
				w.broken = fmt.Errorf("a watch ended: %w", err)
				w.mu.Unlock()
			}
			return
		}
	}
}

// read reads events until there are no more.
func (s *stream) read(take func(watchEvent, time.Time)) error {
	defer s.body.Close()
	events := json.NewDecoder(s.body)
	for {
		var e watchEvent
		if err := events.Decode(&e); err != nil {
			return err
		}
		if e.Type == "ERROR" {
			return errors.New("the API server says that it is too late for this watch")
		}
		s.version = e.Object.Metadata.ResourceVersion
		take(e, time.Now())
	}
}

func (w *watcher) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// of returns the account of that name. The lock is held.
func (w *watcher) of(key string) *seen {
	if w.accounts[key] == nil {
		w.accounts[key] = &seen{}
	}
	return w.accounts[key]
}

// creating notes that an account is about to be created.
func (w *watcher) creating(account *v1alpha1.MarketplaceAccount, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(account.Namespace + "/" + account.Name).created = at
}

func (w *watcher) takeAccount(e watchEvent, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := e.Object.Metadata.Namespace + "/" + e.Object.Metadata.Name
	if e.Type == "DELETED" {
		delete(w.accounts, key)
		return
	}
	a := w.of(key)
	a.uid = e.Object.Metadata.UID
	for _, condition := range e.Object.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue && a.ready.IsZero() {
			a.ready = at
		}
	}
	token := e.Object.Status.AccessToken
	if token.ExpirationTime.IsZero() || len(a.plans) > 0 && a.plans[len(a.plans)-1].expires.Equal(token.ExpirationTime) {
		return
	}
	said := told{account: key, at: at}
	if a.expires.Equal(token.ExpirationTime) {
		said.after = at.Sub(a.shown)
	}
	w.told = append(w.told, said)
	// The Secrets' watch may lag behind this one, but not by four tokens.
	a.plans = append(a.plans, plan{token.ExpirationTime, token.RenewalTime})
	a.plans = a.plans[max(0, len(a.plans)-4):]
}

func (w *watcher) takeSecret(e watchEvent, at time.Time) {
	expires, err := time.Parse(time.RFC3339, string(e.Object.Data.ExpiresAt))
	if err != nil || e.Type == "DELETED" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := e.Object.Metadata.Namespace + "/" + strings.TrimSuffix(e.Object.Metadata.Name, "-token")
	a := w.of(key)
	before := a.expires
	if before.Equal(expires) {
		return
	}
	a.expires, a.shown = expires, at
	if before.IsZero() {
		return
	}
	a.count++
	if !a.planned(before) {
		w.untold = append(w.untold, told{account: key, at: at})
	}
	for _, p := range a.plans {
		if p.expires.Equal(before) {
			w.renewals = append(w.renewals, renewed{account: key, round: a.count, at: at, planned: p.at, expired: !at.Before(before)})
		}
	}
}

// filled tells how it goes with a batch, and whether all of it is Ready.
func (w *watcher) filled(s batch) (f filled, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first, last time.Time
	for i := range s.size {
		a := w.accounts[s.namespace+"/"+s.name(i)]
		if a == nil || a.ready.IsZero() {
			continue
		}
		if first.IsZero() || a.created.Before(first) {
			first = a.created
		}
		if a.ready.After(last) {
			last = a.ready
		}
		f.each = append(f.each, a.ready.Sub(a.created))
	}
	f.all = last.Sub(first)
	return f, len(f.each) == s.size
}

// readyAt is when an account became Ready; zero while it is not.
func (w *watcher) readyAt(key string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(key).ready
}

// each calls look with a copy of what is known of every account whose key has the prefix.
func (w *watcher) each(prefix string, look func(key string, a seen)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, a := range w.accounts {
		if strings.HasPrefix(key, prefix) {
			look(key, *a)
		}
	}
}

// between returns the renewals that were planned for a span of time and that are done, of accounts whose key has the prefix.
func (w *watcher) between(prefix string, from, to time.Time) []renewed {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []renewed
	for _, r := range w.renewals {
		if strings.HasPrefix(r.account, prefix) && !r.planned.Before(from) && r.planned.Before(to) {
			found = append(found, r)
		}
	}
	return found
}

// toldSince returns how long after their tokens statuses told of them since a moment, and how many tokens were renewed of which no
// status had told, of accounts whose key has the prefix. A status that has not told yet is as late as it is now.
func (w *watcher) toldSince(prefix string, from, now time.Time) (after []time.Duration, untold int) {
	w.each(prefix, func(_ string, a seen) {
		if !a.shown.IsZero() && !a.planned(a.expires) {
			after = append(after, now.Sub(a.shown))
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if strings.HasPrefix(t.account, prefix) && !t.at.Before(from) {
			after = append(after, t.after)
		}
	}
	for _, t := range w.untold {
		if strings.HasPrefix(t.account, prefix) && !t.at.Before(from) {
			untold++
		}
	}
	return after, untold
}

// overdue returns how late those are now whose renewal was planned for a span of time and is not done.
func (w *watcher) overdue(prefix string, from, to, now time.Time) (late []time.Duration, expired int) {
	w.each(prefix, func(_ string, a seen) {
		for _, p := range a.plans {
			if p.expires.Equal(a.expires) && !p.at.Before(from) && p.at.Before(to) {
				late = append(late, now.Sub(p.at))
				if !now.Before(a.expires) {
					expired++
				}
			}
		}
	})
	return late, expired
}
