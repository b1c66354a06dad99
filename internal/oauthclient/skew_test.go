package oauthclient

import (
	"fmt"
	"testing"
	"time"
)

func TestClocksDifferWhenThreeAnswersInARowSaySo(t *testing.T) {
	began := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	const took = 5 * time.Second
	for name, test := range map[string]struct {
		ahead []time.Duration // of the Date of each answer, after the request began
		want  time.Duration
		known bool
	}{
		"nobody has answered":                      {nil, 0, false},
		"the first answer is in time":              {[]time.Duration{0}, 0, true},
		"half a minute counts as in time":          {[]time.Duration{-30 * time.Second, 35 * time.Second}, 0, true},
		"one answer is ahead":                      {[]time.Duration{time.Minute}, 0, false},
		"two are":                                  {[]time.Duration{time.Minute, time.Minute}, 0, false},
		"three are":                                {[]time.Duration{time.Minute, time.Minute, 2 * time.Minute}, 2*time.Minute - took, true},
		"three are behind":                         {[]time.Duration{-time.Minute, -time.Minute, -31 * time.Second}, -31 * time.Second, true},
		"the next is in time again":                {[]time.Duration{time.Minute, time.Minute, time.Minute, 0}, 0, true},
		"one in between is in time":                {[]time.Duration{time.Minute, time.Minute, 0, time.Minute}, 0, false},
		"that the clock was right once is no news": {[]time.Duration{0, time.Minute, time.Minute, time.Minute}, time.Minute - took, true},
	} {
		t.Run(name, func(t *testing.T) {
			var s skews
			for _, ahead := range test.ahead {
				s.observe("allegro.pl", began.Add(ahead), began, began.Add(took))
				s.observe("other.example", began, began, began.Add(took))
			}
			if got, known := s.of("allegro.pl"); got != test.want || known != test.known {
				t.Errorf("it is ahead by %s, known %t; want %s, %t", got, known, test.want, test.known)
			}
		})
	}
}

// TestAHostIsBehindByItsLastAnswer: an ID token that came with one answer is held against the clock of that.
func TestAHostIsBehindByItsLastAnswer(t *testing.T) {
	began := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		ahead []time.Duration // of the Date of each answer
		want  time.Duration
	}{
		"nobody has answered": {nil, 0},
		"it is behind":        {[]time.Duration{-time.Hour}, time.Hour},
		"it is ahead":         {[]time.Duration{time.Hour}, 0},
		"it was behind":       {[]time.Duration{-time.Hour, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s skews
			for _, ahead := range test.ahead {
				s.observe("allegro.pl", began.Add(ahead), began, began)
			}
			s.observe("other.example", began.Add(-2*time.Hour), began, began)
			if got := s.delayOf("allegro.pl"); got != test.want {
				t.Errorf("it is behind by %s, want %s", got, test.want)
			}
		})
	}
}

func TestHostsAreBounded(t *testing.T) {
	var s skews
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range 3 * mostSkewHosts {
		s.observe(fmt.Sprintf("%d.example", i), now, now, now)
	}
	if len(s.hosts) > mostSkewHosts {
		t.Errorf("%d hosts are remembered, at most %d should be", len(s.hosts), mostSkewHosts)
	}
}
