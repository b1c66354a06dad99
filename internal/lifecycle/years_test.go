package lifecycle_test

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// BenchmarkAccountYear plays a year of one account with tokens of 12 hours: the machine and the status alone.
func BenchmarkAccountYear(b *testing.B) {
	for b.Loop() {
		w := newWorld(v1alpha1.GrantRefreshToken, true, time.Minute)
		for end := w.now.Add(365 * 24 * time.Hour); w.now.Before(end); w.now = w.stored.Tokens.RenewAt {
			w.look(func(moment) bool { return false })
			w.said = nil
			if w.broken != "" {
				b.Fatal(w.broken)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Minutes(), "account-years/min")
}
