package controller_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

// TestOnCallHearsOfADyingTokenBeforeItDies scrapes the operator minute by minute, from shortly before a renewal until the end of the token.
func TestOnCallHearsOfADyingTokenBeforeItDies(t *testing.T) {
	t.Parallel()
	prepared := func(platform string, grant v1alpha1.GrantType) func(*world) {
		return func(w *world) {
			w.prepare(platform, grant)
			w.start()
			w.expectReady()
		}
	}
	var scraped scrapedStories
	t.Run("while", func(t *testing.T) {
		for name, story := range map[string]struct {
			begin, spoil func(*world)
			// before are the alerts that wake somebody, a minute before the token ends. Two minutes before the planned renewal nothing does.
			before []string
		}{
			"nothing is wrong": {begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(*world) {}},
			"the shop withdraws its consent": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Market.Platform("ebay").RevokeGrants() },
				before: []string{"PersonRequired"},
			},
			"the password was changed, and there are five minutes": {
				begin: prepared("xsale", v1alpha1.GrantPassword), spoil: func(w *world) { w.editSecret("login", map[string]string{"password": "a-wrong-password"}) },
				before: []string{"PersonRequired"},
			},
			"the application is refused": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Market.Platform("ebay").Inject(refusesApplication().Times(0)) },
				before: []string{"ApplicationRejected"},
			},
			"the marketplace is down": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Market.Platform("ebay").Down(0) },
				before: []string{"MarketplaceDown"},
			},
			"the marketplace throttles": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Market.Platform("ebay").Inject(demomarket.Throttle(3000).Times(0)) },
				before: []string{"MarketplaceThrottling"},
			},
			"a Secret is removed": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Delete(w.readSecret("app")) },
				before: []string{"RenewalOverdue"},
			},
			"the Marketplace is removed": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken), spoil: func(w *world) { w.Delete(w.GetMarketplace("ebay")) },
				before: []string{"RenewalOverdue"},
			},
			"an answer is lost, and so is that of the last resort": {
				begin: func(w *world) {
					w.bytesPlatform(0).says(slices.Concat([]said{{acts: true, raw: ok}}, slices.Repeat([]said{{raw: badGateway.raw}}, 100))...)
					w.start()
					w.expectReady()
				},
				spoil: func(*world) {}, before: []string{"PersonRequired"},
			},
			"the operator serves metrics and does nothing": {
				begin: prepared("ebay", v1alpha1.GrantRefreshToken),
				spoil: func(w *world) {
					w.stop()
					w.queue.Store(nil)
					w.registry = prometheus.NewRegistry()
					metrics.RegisterAccounts(w.registry, inNamespace{kube, w.Namespace})
				},
				before: []string{"RenewalOverdue"},
			},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				story.begin(w)
				token := w.get().Status.AccessToken
				w.passUntil(token.RenewalTime.Add(-4 * time.Minute))
				scrapes := w.scraper()
				scrapes.look()
				story.spoil(w)
				for w.clock.Now().Before(token.ExpirationTime.Time) {
					if w.queue.Load() == nil {
						w.clock.Step(time.Minute)
					} else {
						w.pass(time.Minute)
					}
					scrapes.look()
				}
				last := int(token.ExpirationTime.Sub(scrapes.begun)/time.Minute) - 1
				before := promtool.Check{Minute: last, Severity: "critical"}
				for _, name := range story.before {
					before.Firing = append(before.Firing, w.firing(name+" critical"))
				}
				scraped.add(scrapes.story(name, promtool.Check{Minute: 2}, before))
				w.Expect(last).To(BeNumerically(">=", 6))
			})
		}
	})
	promtool.PlayTogether(t, alertRules, scraped.told...)
}

// ok is an answer as it should be.
func ok(good string) string { return respond(200, "application/json", good)("") }
