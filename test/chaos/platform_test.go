package chaos_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// platformFault is an act of a marketplace on one request.
type platformFault struct {
	name  string
	fault demomarket.Fault
	// unclear tells that the operator cannot know whether the platform acted.
	unclear bool
}

// badMarketplace meets each account with a fault of its own, all at once. Where the platform answered that it did not act, a
// strict one loses nothing either.
func badMarketplace(t *testing.T) {
	w := newWorld(t, shared)
	w.ownApplications = true
	w.started()
	w.meet([]platformFault{
		{name: "maintenance", fault: demomarket.Maintenance(), unclear: true},
		{name: "error", fault: demomarket.Answer(demomarket.Response{Status: 500, Body: `{"error":"server_error"}`}), unclear: true},
		{name: "page", fault: demomarket.HTMLPage()},
		{name: "throttled", fault: demomarket.Throttle(3)},
		{name: "reset", fault: demomarket.DropBeforeCommit(), unclear: true},
		{name: "committed-and-reset", fault: demomarket.DropAfterCommit(), unclear: true},
		{name: "cut", fault: demomarket.CutAnswer(), unclear: true},
		{name: "bad-gateway", fault: demomarket.Answer(demomarket.Response{Status: 502}), unclear: true},
		{name: "gateway-timeout", fault: demomarket.Answer(demomarket.Response{Status: 504}), unclear: true},
	})
}

// lateMarketplace acts and does not answer, until the operator gives up.
func lateMarketplace(t *testing.T) {
	w := newWorld(t, shared)
	w.ownApplications = true
	w.started()
	w.meet([]platformFault{
		{name: "hanging", fault: demomarket.Hang(), unclear: true},
		{name: "committed-and-hanging", fault: demomarket.HangAfterCommit(), unclear: true},
	})
	w.account(strict, "strict-spared")
	w.SetDefaultEventuallyTimeout(10 * time.Minute) // the longest wait between two attempts
	w.expectAtRest()
	// An outage of the whole platform, and a burst of errors when it comes back.
	for _, k := range kinds {
		w.market.Platform(k.platform).Down(0)
	}
	var well []*account
	for _, a := range w.accounts {
		if !a.lost {
			well = append(well, a)
		}
	}
	w.renew(well...)
	<-time.After(30 * time.Second)
	var burst []*demomarket.Injected
	for _, k := range kinds {
		market := w.market.Platform(k.platform)
		burst = append(burst, market.Inject(demomarket.Maintenance().Times(3)))
		market.Up()
	}
	w.expectAtRest()
	for i, fault := range burst {
		w.Expect(fault.Hits()).To(BeNumerically(">", 0), "%s met no error when its platform came back", kinds[i].name)
	}
}

// meet gives each kind an account for each fault, which strikes at its next renewal.
func (w *world) meet(faults []platformFault) {
	w.t.Helper()
	for _, fault := range faults {
		for _, k := range kinds {
			w.account(k, fmt.Sprint(k.name, "-", fault.name))
		}
	}
	w.expectAtRest()
	var injected []*demomarket.Injected
	for i, a := range w.accounts {
		fault := faults[i/len(kinds)]
		a.lost = a.strict && fault.unclear
		injected = append(injected, w.lostBy(a, fault.fault))
	}
	w.renew(w.accounts...)
	for i, fault := range injected {
		w.Eventually(fault.Reached()).Should(BeClosed(), "%s did not meet its fault", w.accounts[i].name)
	}
	w.expectAtRest()
}
