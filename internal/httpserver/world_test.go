package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/internal/httpserver"
)

// network is a listener whose peers come from any address.
type network struct {
	dialled chan net.Conn
	closed  chan struct{}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialled:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error { close(n.closed); return nil }

func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

// end is the server's end of a connection.
type end struct {
	net.Conn
	from string
}

func (e end) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(addrPort(e.from))
}

// server is one that is tried.
type server struct {
	*testing.T
	network *network
}

// serve serves a handler with room for so many connections, in a bubble of its own.
func serve(t *testing.T, connections int, handler http.Handler, try func(*server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{dialled: make(chan net.Conn), closed: make(chan struct{})}
		served := httpserver.New(httpserver.Options{Handler: handler, Log: logr.Discard()})
		ended := make(chan error, 1)
		go func() { ended <- served.Serve(httpserver.Bound(n, connections)) }()
		try(&server{t, n})
		if err := served.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
}

// peer is the client's end of a connection.
type peer struct {
	*testing.T
	net.Conn
	answers *bufio.Reader
	// peeking is what reading ahead will say; nil while nobody does, since one goroutine alone may read.
	peeking chan error
}

// dial connects from an address, and waits until the server has dealt with it.
func (s *server) dial(from string) *peer {
	s.Helper()
	near, far := net.Pipe()
	s.network.dialled <- end{far, from}
	synctest.Wait()
	s.Cleanup(func() { near.Close() })
	return &peer{T: s.T, Conn: near, answers: bufio.NewReader(near)}
}

// send sends text, and waits until the server has read what it reads of it.
func (p *peer) send(text string) *peer {
	go func() { _, _ = io.Copy(p.Conn, strings.NewReader(text)) }()
	synctest.Wait()
	return p
}

// open tells whether the server keeps the connection, where no answer is on its way.
func (p *peer) open() bool {
	if p.peeking == nil {
		peeking := make(chan error, 1)
		go func() {
			_, err := p.answers.Peek(1)
			peeking <- err
		}()
		p.peeking = peeking
	}
	synctest.Wait()
	select {
	case err := <-p.peeking:
		p.peeking <- err // for the next who asks
		return err == nil
	default:
		return true
	}
}

// answer reads an answer whole, and tells its status.
func (p *peer) answer() string {
	p.Helper()
	if p.peeking != nil {
		<-p.peeking
		p.peeking = nil
	}
	response, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(body)))
}

const wholeRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
