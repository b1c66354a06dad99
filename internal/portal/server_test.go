package portal_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/internal/httpserver"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

var _ interface {
	manager.Runnable
	manager.LeaderElectionRunnable
	http.Handler
} = (*portal.Portal)(nil)

func TestACallbackUnderWayIsFinished(t *testing.T) {
	w := newWorld(t)
	w.signIns.outcome = signin.Outcome{Account: offered.Account}
	begun, finish := make(chan struct{}), make(chan struct{})
	w.signIns.complete = func(ctx context.Context) error {
		close(begun)
		<-finish
		return ctx.Err()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- portal.Serve(w.server.Config.Handler.(*portal.Portal), ctx, listener) }()
	address := "http://" + listener.Addr().String()

	answers := make(chan string, 1)
	go func() {
		without := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := without.Get(address + callback)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		answers <- response.Status + " " + response.Header.Get("Location")
	}()
	<-begun
	stop()
	for { // until nobody listens any more
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		connection.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("it has stopped: %v", err)
	default:
	}
	close(finish)
	if got := <-answers; !strings.HasPrefix(got, "303 See Other /done/") {
		t.Errorf("the browser got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestProbes(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := w.browser().get(path).expect(t, http.StatusOK, "ok"); !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s is %s", path, a.header.Get("Content-Type"))
		}
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	w := newWorld(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	served, err := portal.New(portal.Options{
		BindAddress: taken.Addr().String(), SignIns: w.signIns, Reader: w.cluster, Writer: w.cluster, Recorder: w.told, Clock: w.clock, Random: strings.NewReader(""),
	})
	if err != nil {
		t.Fatal(err)
	}
	if served.NeedLeaderElection() {
		t.Error("one replica alone would serve")
	}
	if err := served.Start(t.Context()); err == nil {
		t.Error("it has started")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := portal.Serve(served, t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestHeadersAreBounded is S14: a browser with too many cookies gets a page that says what to do.
func TestHeadersAreBounded(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- portal.Serve(w.server.Config.Handler.(*portal.Portal), ctx, httpserver.Bound(listener, 8))
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", "bomb="+strings.Repeat("x", 64<<10))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 kB of headers give %d: %v", response.StatusCode, err)
	}
	for _, says := range []string{"Delete the cookies of this address", "Löschen Sie", "Usuń w ustawieniach"} {
		if !strings.Contains(string(page), says) {
			t.Errorf("the page does not say %q:\n%s", says, page)
		}
	}
	for header, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
	} {
		if got := response.Header.Get(header); got != want {
			t.Errorf("%s is %q", header, got)
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
