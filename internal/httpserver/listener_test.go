package httpserver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

func addrPort(address string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), 1)
}

const (
	greedy = "192.0.2.1"
	modest = "198.51.100.1"
)

// expectOpen says which of some connections the server keeps.
func expectOpen(t *testing.T, peers []*peer, want ...bool) {
	t.Helper()
	got := make([]bool, 0, len(peers))
	for _, p := range peers {
		got = append(got, p.open())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("open are %v, want %v", got, want)
	}
}

func TestAFullListenerClosesWhatWaitsLongestOfTheGreediestAddress(t *testing.T) {
	serve(t, 4, hello, func(s *server) {
		peers := []*peer{s.dial(modest), s.dial(greedy), s.dial(greedy), s.dial(greedy)}
		expectOpen(t, peers, true, true, true, true)
		peers = append(peers, s.dial(greedy))
		expectOpen(t, peers, true, false, true, true, true)
		peers = append(peers, s.dial("203.0.113.7"))
		expectOpen(t, peers, true, false, false, true, true, true)
		if got := peers[0].send(wholeRequest).answer(); got != "200 hello" {
			t.Errorf("the modest peer is told %q", got)
		}
	})
}

func TestManyUnfinishedRequestsKeepNobodyOut(t *testing.T) {
	serve(t, bounds.PortalConnections, hello, func(s *server) {
		for i := range 4 * bounds.PortalConnections {
			s.dial(greedy).send("GET / HTTP/1.1\r\nA: ")
			if i%100 == 0 {
				if got := s.dial(modest).send(wholeRequest).answer(); got != "200 hello" {
					t.Fatalf("after %d connections a newcomer is told %q", i, got)
				}
			}
		}
	})
}

func TestAnIdleConnectionGoesBeforeAnUnfinishedRequest(t *testing.T) {
	serve(t, 2, hello, func(s *server) {
		unfinished, idle := s.dial(greedy), s.dial(greedy)
		for _, p := range []*peer{unfinished, idle} {
			if got := p.send(wholeRequest).answer(); got != "200 hello" {
				t.Fatalf("the first request is told %q", got)
			}
		}
		unfinished.send("GET / HTTP/1.1\r\n")
		expectOpen(t, []*peer{unfinished, idle, s.dial(greedy)}, true, false, true)
	})
}

// Every IPv6 peer has as many addresses as it wants.
func TestAnIPv6NetworkIsOnePeer(t *testing.T) {
	serve(t, 3, hello, func(s *server) {
		peers := []*peer{s.dial("2001:db8:2::1"), s.dial("2001:db8:1::1"), s.dial("2001:db8:1::2"), s.dial("2001:db8:1::3")}
		expectOpen(t, peers, true, false, true, true)
	})
}

// stuck are requests that are answered when the test lets them.
type stuck struct {
	let       chan struct{}
	cancelled chan string
}

func (b *stuck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-b.let:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
		b.cancelled <- r.RemoteAddr
	}
}

func TestARequestThatIsWorkedOnIsNoPlaceForAPeerWithAsMany(t *testing.T) {
	handler := &stuck{}
	serve(t, 2, handler, func(s *server) {
		handler.let, handler.cancelled = make(chan struct{}), make(chan string, 9)
		worked := []*peer{s.dial(greedy).send(wholeRequest), s.dial(modest).send(wholeRequest)}
		for _, from := range []string{greedy, modest} {
			if s.dial(from).open() {
				t.Errorf("a newcomer from %s was let in", from)
			}
		}
		close(handler.let)
		for _, p := range worked {
			if got := p.answer(); got != "200 done" {
				t.Errorf("a request that was worked on is told %q", got)
			}
		}
	})
}

func TestAPeerWithManyRequestsMakesPlaceForOneWithFewer(t *testing.T) {
	handler := &stuck{}
	serve(t, 3, handler, func(s *server) {
		handler.let, handler.cancelled = make(chan struct{}), make(chan string, 9)
		for range 3 {
			s.dial(greedy).send(wholeRequest)
		}
		honest := s.dial(modest).send(wholeRequest)
		if from := <-handler.cancelled; from != greedy+":1" {
			t.Errorf("the request of %s was given up", from)
		}
		close(handler.let)
		if got := honest.answer(); got != "200 done" {
			t.Errorf("the modest peer is told %q", got)
		}
	})
}

func TestABodyThatTricklesInIsAWaitForThePeer(t *testing.T) {
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "read")
	})
	serve(t, 2, read, func(s *server) {
		trickles := []*peer{s.dial(greedy), s.dial(greedy)}
		for _, p := range trickles {
			p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na")
		}
		trickles[0].send("b")
		expectOpen(t, append(trickles, s.dial(greedy)), false, true, true)
	})
}

func TestAnAnswerThatNobodyReadsIsAWaitForThePeer(t *testing.T) {
	large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("a", 1<<20)) })
	serve(t, 1, large, func(s *server) {
		s.dial(greedy).send(wholeRequest)
		if got := s.dial(greedy).send(wholeRequest).answer(); !strings.HasPrefix(got, "200 aaa") {
			t.Errorf("the newcomer is told %.40q", got)
		}
	})
}

func TestHeadersAreBounded(t *testing.T) {
	for name, test := range map[string]struct{ headers, want string }{
		"as many bytes as promised": {"A: " + strings.Repeat("a", bounds.HeaderBytes-60) + "\r\n", "200 hello"},
		"more bytes":                {"A: " + strings.Repeat("a", bounds.HeaderBytes+4<<10) + "\r\n", "431 431 Request Header Fields Too Large"},
		"as many lines as promised": {strings.Repeat("A:\r\n", bounds.HeaderLines-3), "200 hello"},
		"more lines":                {strings.Repeat("A:\r\n", bounds.HeaderLines), "400 400 Bad Request"},
		"a megabyte":                {strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 1000), "431 431 Request Header Fields Too Large"},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, 2, hello, func(s *server) {
				p := s.dial(modest)
				for range 2 { // also of a later request
					if got := p.send("GET / HTTP/1.1\r\nHost: a\r\n" + test.headers + "\r\n").answer(); got != test.want {
						t.Errorf("it is told %q, want %q", got, test.want)
					}
					if test.want != "200 hello" {
						return
					}
				}
			})
		})
	}
}

func TestWaitingForAPeerEnds(t *testing.T) {
	for name, test := range map[string]struct {
		sends  string
		within time.Duration
	}{
		"nothing":               {"", timeouts.ReadHeaders},
		"half a request":        {"GET / HTTP/1.1\r\nA: ", timeouts.ReadHeaders},
		"half a body":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na", timeouts.ReadRequest},
		"an answer is not read": {wholeRequest, timeouts.Answer},
	} {
		t.Run(name, func(t *testing.T) {
			var ended chan struct{}
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, strings.Repeat("a", 64<<10))
				ended <- struct{}{}
			})
			serve(t, 1, handler, func(s *server) {
				ended = make(chan struct{}, 1)
				p := s.dial(modest)
				go func() { _, _ = io.WriteString(p.Conn, test.sends) }()
				begun := time.Now() // of the bubble
				if test.sends == wholeRequest {
					<-ended
				} else {
					p.answer()
				}
				if took := time.Since(begun); took > test.within {
					t.Errorf("it is waited for %s", took)
				}
			})
		})
	}
}
