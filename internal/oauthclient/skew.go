package oauthclient

import (
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

const (
	// skewLeeway is how far the clock of a token host may differ from ours, beyond the time that a request took. Date has whole seconds.
	skewLeeway = 30 * time.Second
	// skewedInARow is how many answers in a row have to say that the clocks differ.
	skewedInARow = 3
	// mostSkewHosts bounds the hosts that are remembered: authors of accounts may choose them. One that is forgotten is known again after
	// as many answers.
	mostSkewHosts = 1024
)

// skews knows how far the clocks of token hosts differ from ours, by the Date of their answers (RFC 9110 section 6.6.1). It may be used by many
// goroutines at once.
type skews struct {
	mu    sync.Mutex // guards hosts
	hosts map[string]skew
}

// skew is how far the clock of a host is ahead of ours, and how many of its answers in a row have said so.
type skew struct {
	ahead  time.Duration
	inARow int
}

// observe takes the Date of an answer to a request that was under way from began to ended.
func (s *skews) observe(host string, date, began, ended time.Time) {
	ahead := time.Duration(0)
	switch {
	case date.Before(began.Add(-skewLeeway)):
		ahead = date.Sub(began)
	case date.After(ended.Add(skewLeeway)):
		ahead = date.Sub(ended)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = map[string]skew{}
	}
	held, known := s.hosts[host]
	if !known && len(s.hosts) >= mostSkewHosts {
		for forgotten := range s.hosts {
			delete(s.hosts, forgotten)
			break
		}
	}
	if ahead == 0 {
		s.hosts[host] = skew{}
		return
	}
	s.hosts[host] = skew{ahead, held.inARow + 1}
}

// of returns how far the clock of a host is ahead of ours; known tells whether enough answers have told.
func (s *skews) of(host string) (ahead time.Duration, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, seen := s.hosts[host]
	if !seen || held.inARow > 0 && held.inARow < skewedInARow {
		return 0, false
	}
	return held.ahead, true
}

// delayOf returns how far the clock of a host is behind ours by its last answer; zero where it is not, and where nothing is known.
func (s *skews) delayOf(host string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, -s.hosts[host].ahead)
}

// ClockSkew returns how far the clock of a request's token host is ahead of ours, negative where it is behind and zero where both agree; known
// tells whether enough answers have told.
func (c *Client) ClockSkew(req *facts.Request) (ahead time.Duration, known bool) {
	return c.skews.of(req.TokenHost())
}

// dated observes the Date of answers.
type dated struct {
	next  http.RoundTripper
	clock clock.PassiveClock
	skews *skews
}

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(request *http.Request) (*http.Response, error) {
	began := d.clock.Now()
	response, err := d.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		d.skews.observe(request.URL.Host, date, began, d.clock.Now())
	}
	return response, nil
}
