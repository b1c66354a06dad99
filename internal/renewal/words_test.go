package renewal_test

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

func TestMomentsInWords(t *testing.T) {
	at := time.Date(2026, 3, 2, 0, 30, 0, 0, time.FixedZone("CET", 3600))
	if got := renewal.ClockTime(at) + ", " + renewal.Date(at); got != "2026-03-01 23:30:00 UTC, 2026-03-01" {
		t.Errorf("it is %s", got)
	}
}
