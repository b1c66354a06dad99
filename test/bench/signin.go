package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// playSignIns lets people, each with an account of his own, consent at the marketplace and then come back to the portal
// all at once. What counts is how long it takes from the browser's request until the code arrives at the marketplace, which
// for Allegro has ten seconds.
func playSignIns(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, measureSignIns)
}

func measureSignIns(ctx context.Context, b *bench) ([]figure, error) {
	if err := b.marketplace(ctx, b.market); err != nil {
		return nil, err
	}
	if err := b.application(ctx, namespace); err != nil {
		return nil, err
	}
	codes := &arrivals{at: map[string]time.Time{}}
	b.market.arrived = codes.note
	if err := b.startOperator(ctx); err != nil {
		return nil, err
	}
	market := b.market.Platform("allegro")
	// The codes of all have to live until the last person is ready.
	market.SetLifetimes(demomarket.Lifetimes{Code: 10 * time.Minute})
	people := make([]*person, b.people)
	group, beginning := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range people {
		group.Go(func() (err error) {
			people[i], err = b.consent(beginning, fmt.Sprintf("account-%03d", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}

	market.Slow(platformLatency)
	start := make(chan struct{})
	group, coming := errgroup.WithContext(ctx)
	for _, p := range people {
		group.Go(func() error {
			<-start
			return p.comeBack(coming)
		})
	}
	began := time.Now()
	close(start)
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := time.Since(began)
	market.Slow(0)
	var toExchange, toPage []time.Duration
	for _, p := range people {
		arrived, ok := codes.of(p.back.Query().Get("code"))
		if !ok {
			return nil, fmt.Errorf("the code of %s did not arrive at the marketplace", p.account)
		}
		toExchange = append(toExchange, arrived.Sub(p.left))
		toPage = append(toPage, p.seen.Sub(p.left))
	}
	if err := b.ready(ctx, len(people)); err != nil {
		return nil, err
	}
	return []figure{
		{benchmark: signin, name: "redirect to code exchange, p50", value: percentile(toExchange, 0.5), unit: "s"},
		figure{benchmark: signin, name: "redirect to code exchange, p99", value: percentile(toExchange, 0.99), unit: "s"}.atMost(1),
		{benchmark: signin, name: "redirect to result page, p50", value: percentile(toPage, 0.5), unit: "s"},
		{benchmark: signin, name: "redirect to result page, p99", value: percentile(toPage, 0.99), unit: "s"},
		{benchmark: signin, name: "until the last result page", value: all.Seconds(), unit: "s"},
		figure{
			benchmark: signin, name: "code exchanges for each sign-in", unit: "calls",
			value: float64(market.Report().Count(demomarket.GrantAuthorizationCode, "")) / float64(len(people)),
		}.atMost(1),
	}, nil
}

// person is somebody at a browser, who has consented and is about to be sent back.
type person struct {
	account string
	browser *http.Client
	back    *url.URL
	// left is when his browser asked for the callback, seen when it had the page that says how it went.
	left, seen time.Time
}

// consent creates an account, follows its link, and consents.
func (b *bench) consent(ctx context.Context, name string) (*person, error) {
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
			Grant:                v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode},
		},
	}
	if err := b.kube.Create(ctx, account); err != nil {
		return nil, fmt.Errorf("creating an account: %w", err)
	}
	if err := until(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		return account.Status.SignIn != nil, b.kube.Get(ctx, client.ObjectKeyFromObject(account), account)
	}); err != nil {
		return nil, fmt.Errorf("%s has no link: %w", name, err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	p := &person{account: name, browser: &http.Client{Jar: loopbackJar{jar}}}
	p.back, err = demomarket.Person{User: demomarket.DefaultUser, Password: demomarket.DefaultPassword}.SignIn(
		ctx, p.browser, b.market.url, account.Status.SignIn.URL)
	return p, err
}

// comeBack goes where the marketplace sends the browser.
func (p *person) comeBack(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.back.String(), http.NoBody)
	if err != nil {
		return err
	}
	p.left = time.Now()
	response, err := p.browser.Do(request)
	if err != nil {
		return fmt.Errorf("coming back: %w", err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	p.seen = time.Now()
	if response.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("coming back: %s", response.Status))
	}
	return err
}

// ready waits until all accounts are Ready.
func (b *bench) ready(ctx context.Context, accounts int) error {
	return until(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		var list v1alpha1.MarketplaceAccountList
		if err := b.kube.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		ready := 0
		for _, account := range list.Items {
			for _, condition := range account.Status.Conditions {
				if condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == accounts, nil
	})
}

// arrivals are when codes arrived at the marketplace.
type arrivals struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) note(r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/token") {
		return
	}
	now := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("code") == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[form.Get("code")] = now
}

func (a *arrivals) of(code string) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.at[code]
	return at, ok
}

// loopbackJar takes loopback for secure, as browsers do.
type loopbackJar struct{ http.CookieJar }

// SetCookies implements http.CookieJar.
func (j loopbackJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secure(u), cookies)
}

// Cookies implements http.CookieJar.
func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(secure(u)) }

func secure(u *url.URL) *url.URL {
	same := *u
	same.Scheme = "https"
	return &same
}
