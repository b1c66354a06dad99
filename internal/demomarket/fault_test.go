package demomarket_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestFaultsThatAnswer(t *testing.T) {
	tests := map[string]struct {
		fault  demomarket.Fault
		status int
		header string // name and value
		body   string // a part of it
	}{
		"word for word": {
			fault: demomarket.Answer(demomarket.Response{
				Status: 418, Header: http.Header{"X-Pot": {"tea"}}, Body: "short and stout",
			}),
			status: 418, header: "X-Pot: tea", body: "short and stout",
		},
		"the platform's refusal": {
			fault: demomarket.Refuse(demomarket.InvalidClient), status: 401, body: `"error":"Unauthorized"`,
		},
		"a page":             {fault: demomarket.HTMLPage(), status: 200, header: "Content-Type: text/html; charset=utf-8", body: "<h1>"},
		"maintenance":        {fault: demomarket.Maintenance(), status: 503, header: "Content-Type: text/html; charset=utf-8", body: "<h1>"},
		"nothing":            {fault: demomarket.Empty(), status: 200, header: "Content-Type: application/json"},
		"two MiB":            {fault: demomarket.Huge(), status: 200, body: `"access_token":"huge-access-token"`},
		"throttled, seconds": {fault: demomarket.Throttle(30), status: 429, header: "Retry-After: 30"},
		"throttled, date": {
			fault: demomarket.ThrottleUntil(start.Add(time.Minute)), status: 429, header: "Retry-After: Sun, 01 Mar 2026 12:01:00 GMT",
		},
		"throttled, Auth0": {
			fault: demomarket.ThrottleReset(start, 0), status: 429, header: "X-RateLimit-Reset: 1772366400", body: `"too_many_requests"`,
		},
		"throttled, Auth0 with Retry-After": {
			fault: demomarket.ThrottleReset(start, 5*time.Second), status: 429, header: "Retry-After: 5",
		},
		"a redirect": {
			fault: demomarket.Redirect("http://127.0.0.1:1/"), status: 307, header: "Location: http://127.0.0.1:1/",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			allegro := d.Platform("allegro")
			allegro.SeedRefreshToken("seeded", "1")
			injected := allegro.Inject(test.fault.Once())

			got := d.refresh("allegro", "seeded")

			wantStatus(t, got, test.status)
			if key, value, _ := strings.Cut(test.header, ": "); key != "" {
				wantEqual(t, key, got.header.Get(key), value)
			}
			if !strings.Contains(got.raw, test.body) {
				t.Errorf("answer %.200s lacks %s", got.raw, test.body)
			}
			if name == "two MiB" && len(got.raw) < 2<<20 {
				t.Errorf("answer has %d bytes", len(got.raw))
			}
			wantEqual(t, "hits", injected.Hits(), 1)
			wantStatus(t, d.refresh("allegro", "seeded"), http.StatusOK)
			wantEqual(t, "reuses", allegro.Report().GraceReuses, 0)
		})
	}
}

func TestExpiresInFaults(t *testing.T) {
	for _, raw := range []string{"0", "-5", `"soon"`, `"3600"`, "3600.0", "null"} {
		d := serve(t, demomarket.Allegro())
		d.Platform("allegro").SeedRefreshToken("seeded", "1")
		d.Platform("allegro").Inject(demomarket.ExpiresIn(raw))
		got := d.refresh("allegro", "seeded")
		wantStatus(t, got, http.StatusOK)
		if !strings.Contains(got.raw, `"expires_in":`+raw+`,`) {
			t.Errorf("answer %s does not have expires_in %s", got.raw, raw)
		}
	}
	d := serve(t, demomarket.Allegro())
	d.Platform("allegro").SeedRefreshToken("seeded", "1")
	d.Platform("allegro").Inject(demomarket.ExpiresIn(demomarket.ExpiresInAbsent))
	if _, there := d.refresh("allegro", "seeded").body["expires_in"]; there {
		t.Error("expires_in is there")
	}
}

func TestFaultsThatLoseTheAnswer(t *testing.T) {
	tests := map[string]struct {
		fault     demomarket.Fault
		committed bool
	}{
		"before the platform acts":    {fault: demomarket.DropBeforeCommit()},
		"after the platform acted":    {fault: demomarket.DropAfterCommit(), committed: true},
		"in the middle of its answer": {fault: demomarket.CutAnswer(), committed: true},
		"by a hook that keeps it": {
			fault: demomarket.HookFault(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(nowhere{http.Header{}}, r)
				panic(http.ErrAbortHandler)
			}),
			committed: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			allegro := d.Platform("allegro")
			allegro.SeedRefreshToken("seeded", "1")
			allegro.Inject(test.fault.Once())

			if got, err := d.do(d.refreshRequest("allegro", "seeded")); err == nil {
				t.Fatalf("the answer arrived: %s", got.raw)
			}

			report, lost, reuses := allegro.Report(), 0, 0
			if test.committed {
				lost, reuses = 1, 1
			}
			wantEqual(t, "lost pairs", report.LostPairs, lost)
			wantEqual(t, "abandoned pairs", report.AbandonedPairs, 0)
			wantEqual(t, "marked in the log", allegro.Requests()[0].Lost, test.committed)
			wantStatus(t, d.refresh("allegro", "seeded"), http.StatusOK) // within the grace
			wantEqual(t, "reuses in the grace", allegro.Report().GraceReuses, reuses)
		})
	}
}

// nowhere swallows what is written to it.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header            { return n.header }
func (n nowhere) WriteHeader(int)                {}
func (n nowhere) Write(body []byte) (int, error) { return len(body), nil }

func TestALostAnswerOfAStaticPlatformIsNoLostPair(t *testing.T) {
	d := serve(t, demomarket.EBay())
	d.Platform("ebay").SeedRefreshToken("seeded", "1")
	d.Platform("ebay").Inject(demomarket.DropAfterCommit().Once())
	if _, err := d.do(d.refreshRequest("ebay", "seeded")); err == nil {
		t.Fatal("the answer arrived")
	}
	wantEqual(t, "lost pairs", d.Report().Total.LostPairs, 0)
	wantStatus(t, d.refresh("ebay", "seeded"), http.StatusOK)
}

func TestHang(t *testing.T) {
	tests := map[string]struct {
		fault     demomarket.Fault
		committed bool
	}{
		"before the platform acts": {fault: demomarket.Hang()},
		"after the platform acted": {fault: demomarket.HangAfterCommit(), committed: true},
	}
	for name, test := range tests {
		t.Run(name+", until released", func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			allegro := d.Platform("allegro")
			allegro.SeedRefreshToken("seeded", "1")
			injected := allegro.Inject(test.fault)
			answers := make(chan answer, 1)
			r := d.refreshRequest("allegro", "seeded")
			go func() {
				got, _ := d.do(r)
				answers <- got
			}()
			<-injected.Reached()
			injected.Clear()
			wantStatus(t, <-answers, http.StatusOK)
			wantEqual(t, "lost pairs", allegro.Report().LostPairs, 0)
		})
		t.Run(name+", until the client gives up", func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			allegro := d.Platform("allegro")
			allegro.SeedRefreshToken("seeded", "1")
			injected := allegro.Inject(test.fault.Once())
			ended := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := d.refreshRequest("allegro", "seeded").WithContext(ctx)
			go func() {
				defer close(ended)
				if _, err := d.do(r); !errors.Is(err, context.Canceled) {
					t.Errorf("err = %v, want %v", err, context.Canceled)
				}
			}()
			<-injected.Reached()
			cancel()
			<-ended
			d.settle()
			lost := 0
			if test.committed {
				lost = 1
			}
			wantEqual(t, "lost pairs", allegro.Report().LostPairs, lost)
			wantEqual(t, "seeded token is valid", allegro.RefreshTokenValid("seeded"), true)
		})
	}
}

func TestAClientThatGoesAwayAbandonsItsPair(t *testing.T) {
	d := serve(t, demomarket.OIDC())
	oidc := d.Platform("oidc")
	oidc.SeedRefreshToken("seeded", "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	oidc.Inject(demomarket.HookFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		cancel()
		<-r.Context().Done()
		next.ServeHTTP(w, r) // the request had arrived, so the platform acts on it
	}))
	if _, err := d.do(d.refreshRequest("oidc", "seeded").WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want %v", err, context.Canceled)
	}
	d.settle()
	wantEqual(t, "abandoned pairs", oidc.Report().AbandonedPairs, 1)
	wantEqual(t, "lost pairs", oidc.Report().LostPairs, 0)
	wantEqual(t, "seeded token is valid", oidc.RefreshTokenValid("seeded"), false)
}

func TestLatencyEndsWithItsRequest(t *testing.T) {
	d := serveWith(t, demomarket.Options{Latency: time.Hour}, demomarket.OIDC())
	oidc := d.Platform("oidc")
	oidc.SeedRefreshToken("seeded", "1")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	d.ServeHTTP(nowhere{http.Header{}}, d.refreshRequest("oidc", "seeded").WithContext(gone))
	wantEqual(t, "abandoned pairs", oidc.Report().AbandonedPairs, 1)
	wantEqual(t, "seeded token is valid", oidc.RefreshTokenValid("seeded"), false)
}

func TestFaultsAreAimed(t *testing.T) {
	d := serve(t, demomarket.Allegro(), demomarket.OIDC())
	oidc := d.Platform("oidc")
	oidc.SeedRefreshToken("first", "1")
	oidc.SeedRefreshToken("second", "2")
	onlySecond := oidc.Inject(demomarket.Maintenance().When(func(r demomarket.Request) bool {
		return r.Parameters["refresh_token"] == "second"
	}))
	identity := oidc.Inject(demomarket.Throttle(1).On(demomarket.IdentityEndpoint).Times(2))
	revocation := oidc.Inject(demomarket.Refuse(demomarket.ServerError).On(demomarket.RevocationEndpoint))

	first := d.refresh("oidc", "first")
	wantStatus(t, first, http.StatusOK)
	wantStatus(t, d.refresh("oidc", "second"), http.StatusServiceUnavailable)
	bearer := "Bearer " + first.text("access_token")
	for _, status := range []int{429, 429, 200} {
		wantStatus(t, d.get("/oidc/userinfo", "Authorization", bearer), status)
	}
	wantError(t, d.revoke(first.text("access_token"), demomarket.DefaultClientSecret), 500, "server_error")
	wantEqual(t, "hits", onlySecond.Hits()+identity.Hits()+revocation.Hits(), 4)

	oidc.ClearFaults()
	wantStatus(t, d.refresh("oidc", "second"), http.StatusOK)
	wantEqual(t, "faulted", oidc.Report().Count("", demomarket.Faulted), 1)
}

func TestOutage(t *testing.T) {
	d := serve(t, demomarket.EBay())
	ebay := d.Platform("ebay")
	ebay.SeedRefreshToken("seeded", "1")
	ebay.Down(30 * time.Second)
	wantStatus(t, d.refresh("ebay", "seeded"), http.StatusServiceUnavailable)
	d.clock.step(30 * time.Second)
	wantStatus(t, d.refresh("ebay", "seeded"), http.StatusOK)
	ebay.Down(0)
	d.clock.step(24 * time.Hour)
	wantStatus(t, d.refresh("ebay", "seeded"), http.StatusServiceUnavailable)
	ebay.Up()
	ebay.Slow(time.Nanosecond)
	wantStatus(t, d.refresh("ebay", "seeded"), http.StatusOK)
}
