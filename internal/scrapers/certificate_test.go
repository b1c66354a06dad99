package scrapers_test

import (
	"crypto/rand"
	"crypto/tls"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/scrapers"
)

func TestTheCertificateIsMadeAnewBeforeItEnds(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakePassiveClock(start)
	config := scrapers.TLS(clock, rand.Reader)
	get := func() *tls.Certificate {
		t.Helper()
		made, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if now := clock.Now(); now.Before(made.Leaf.NotBefore) || now.Add(24*time.Hour).After(made.Leaf.NotAfter) {
			t.Errorf("at %s the certificate is good from %s to %s", now, made.Leaf.NotBefore, made.Leaf.NotAfter)
		}
		return made
	}
	first := get()
	clock.SetTime(start.Add(14 * 24 * time.Hour))
	if get() != first {
		t.Error("it is made anew although it is good for long")
	}
	clock.SetTime(start.Add(16 * 24 * time.Hour))
	if second := get(); second == first || second.Leaf.SerialNumber.Cmp(first.Leaf.SerialNumber) == 0 {
		t.Error("it is not made anew")
	}
	clock.SetTime(start.Add(-48 * time.Hour)) // a clock that is set back
	get()
}
