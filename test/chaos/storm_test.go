package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// attack is a request that a stranger begins on a connection, and never ends.
type attack struct {
	name, sends string
}

// attacks are the ways to make a server hold memory.
var attacks = []attack{
	{"28 kB of headers", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 28)},
	{"1 MB of headers", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 1000)},
	{"one header of 15 kB", "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 15_000)},
	{"many short lines", "GET / HTTP/1.1\r\nHost: a\r\n" + shortLines(5000)},
	{"half a body", "POST /session HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 30000\r\n\r\ntoken=" + strings.Repeat("a", 20_000)},
	{"answers that nobody reads", strings.Repeat("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200)},
	{"nothing", ""},
}

func shortLines(number int) string {
	var lines strings.Builder
	for i := range number {
		fmt.Fprintf(&lines, "%x:\r\n", i)
	}
	return lines.String()
}

// listener is a server of the operator, and how many connections strangers make to it in a second.
type listener struct {
	name, address string
	paths         []string // that well-behaved clients ask for meanwhile
	perSecond     int
}

// storm lets strangers do what they can to every server of an operator under the memory limit that is shipped, while accounts of a
// platform without mercy are renewed: a pair that is lost then is lost for good.
func storm(t *testing.T) {
	accounts, atLeast := 200, 8*time.Second
	if *long {
		accounts, atLeast = 1000, 3*time.Minute
	}
	w := newWorld(t, shared)
	metrics, probes := ownAddress(), ownAddress()
	o := w.operator("--metrics-bind-address="+metrics, "--health-probe-bind-address="+probes)
	memories := o.limited()
	for i := range accounts {
		w.account(strict, fmt.Sprintf("strict-%d", i))
	}
	o.start()
	w.expectAtRest()
	o.expectPages()
	before := memories.peaks()

	listeners := []listener{
		{"portal", o.portal.pages, []string{"/", "/healthz"}, 1000},
		{"metrics", metrics, []string{"/metrics"}, 100},
		{"probes", probes, []string{"/healthz", "/readyz"}, 100},
	}
	ctx, calm := context.WithCancel(t.Context())
	defer calm()
	var strangers, others sync.WaitGroup
	var made, asked atomic.Int64
	for _, l := range listeners {
		strangers.Go(func() { l.storm(ctx, &made) })
		for _, path := range l.paths {
			others.Go(func() { w.askCalmly(ctx, "http://"+l.address+path, &asked) })
		}
	}
	begun := time.Now()
	for {
		w.renew(w.accounts...)
		w.expectAtRest()
		if time.Since(begun) > atLeast {
			break
		}
	}
	calm()
	strangers.Wait()
	others.Wait()
	w.Expect(asked.Load()).To(BeNumerically(">", 20))
	t.Logf("%d connections of strangers in %s, %d requests of others, all answered", made.Load(), time.Since(begun).Round(time.Second), asked.Load())
	memories.expectKept()
	for i, peak := range memories.peaks() {
		m := memories[i]
		t.Logf("%s, %s: at most %d MiB before and %d MiB in the storm, of %d", m.of.name, m.how, before[i]>>20, peak>>20, m.limit>>20)
		w.Expect(peak-before[i]).To(BeNumerically("<", m.limit/4), "what strangers make %s hold is small beside the limit", m.of.name)
	}
}

// storm makes connections and does not end them.
func (l listener) storm(ctx context.Context, made *atomic.Int64) {
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	room := make(chan struct{}, 2000)
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		for range max(1, l.perSecond/100) {
			select {
			case room <- struct{}{}:
			default: // so many wait to be told that they are not served
				continue
			}
			next++
			attack := attacks[next%len(attacks)]
			connections.Go(func() {
				defer func() { <-room }()
				if l.attack(ctx, attack) {
					made.Add(1)
				}
			})
		}
	}
}

// attack holds one connection until the server ends it.
func (l listener) attack(ctx context.Context, a attack) (made bool) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	defer stop()
	defer connection.Close()
	_, _ = io.WriteString(connection, a.sends)
	if a.name == "answers that nobody reads" {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
		}
		return true
	}
	_, _ = io.Copy(io.Discard, connection)
	return true
}

// isClosed tells that the server has closed a connection before it was asked, which net/http calls idle where it notices so before it writes.
func isClosed(err error) bool {
	return err != nil && (errors.Is(err, io.EOF) || strings.HasSuffix(err.Error(), "http: server closed idle connection"))
}

// askCalmly asks for a page from another address than the strangers', as a kubelet, Prometheus and an ingress do. Each is answered. Where this
// machine stood still for longer than a server waits for headers, the server has closed the connection instead, and the page is asked for again.
func (w *world) askCalmly(ctx context.Context, address string, asked *atomic.Int64) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	calm := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for stood := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		begun := time.Now()
		response, err := calm.Get(address)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		switch took := time.Since(begun); {
		case err == nil && response.StatusCode == http.StatusOK:
			stood = 0
			asked.Add(1)
		case isClosed(err) && took >= timeouts.ReadHeaders && stood < 2:
			stood++
			w.t.Logf("%s was closed after %s", address, took.Round(time.Millisecond))
		default:
			w.t.Errorf("%s was not answered in the storm, after %s: %v", address, took.Round(time.Millisecond), err)
			return
		}
	}
}
