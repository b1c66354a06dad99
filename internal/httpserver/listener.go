package httpserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// Listener holds a bounded number of connections. One more takes the place of another that waits for its peer: of the address
// with the most connections, the one that has waited longest. It may be used by many goroutines at once.
type Listener struct {
	net.Listener
	limit int
	tls   *tls.Config // nil for plain connections
	// largeHeaders takes the place of what net/http answers to headers that are too large; nil leaves that as it is.
	largeHeaders []byte

	mu      sync.Mutex // guards turn, held and sources, and the rest of each connection
	turn    uint64     // counts up with each wait that begins
	held    map[*connection]struct{}
	sources map[netip.Prefix]int // how many each address holds
}

// Bound returns a listener that holds at most so many connections of another.
func Bound(listener net.Listener, connections int) *Listener {
	return &Listener{Listener: listener, limit: connections, held: map[*connection]struct{}{}, sources: map[netip.Prefix]int{}}
}

// BoundTLS is Bound for connections over TLS. The server reads plain text from them: bounds of headers hold for the plain text.
func BoundTLS(listener net.Listener, connections int, config *tls.Config) *Listener {
	bound := Bound(listener, connections)
	bound.tls = config
	return bound
}

// AnswerLargeHeaders replaces what net/http answers to headers that are too large: a line of text, which no handler hears of. answer is the whole
// answer, with its status 431 and "Connection: close". It is called before the listener is served.
func (l *Listener) AnswerLargeHeaders(answer []byte) { l.largeHeaders = answer }

// connection is one that a Listener holds.
type connection struct {
	net.Conn
	wire     net.Conn // the connection below TLS, or the same
	listener *Listener
	source   netip.Prefix

	// The listener's lock guards these.
	requests int    // that are answered
	pauses   int    // of these requests, the ones that wait for the peer
	since    uint64 // the turn in which the wait for the peer began
	head     bool   // the headers of a request are awaited
	lines    int    // of these headers that have come
	idle     bool   // none of them has come, after another request
}

// worked tells that a request is answered and does not wait for the peer. The caller holds the lock.
func (c *connection) worked() bool { return c.requests > c.pauses }

var errHeaderLines = errors.New("too many lines of headers")

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if tcp, ok := accepted.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(bounds.SocketBuffer) // where it cannot be set, the kernel's own bounds hold
			_ = tcp.SetWriteBuffer(bounds.SocketBuffer)
		}
		c := &connection{Conn: accepted, wire: accepted, listener: l, source: sourceOf(accepted.RemoteAddr()), head: true}
		if l.tls != nil {
			c.Conn = tls.Server(accepted, l.tls)
		}
		if l.admit(c) {
			return c, nil
		}
		_ = accepted.Close()
	}
}

// admit makes room for a connection and holds it; false when everybody else is worked for, and holds no more than its own address.
func (l *Listener) admit(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sources[c.source]++ // its own address counts it, so that it never takes the place of a more modest one
	if len(l.held) >= l.limit {
		victim := l.victim(c.source)
		if victim == nil {
			l.leave(c.source)
			return false
		}
		l.drop(victim)
		_ = victim.wire.Close() // TLS would say good-bye first, to a peer that may not listen
	}
	l.turn++
	c.since = l.turn
	l.held[c] = struct{}{}
	return true
}

// victim is the connection that gives its place to a newcomer from source; nil when there is none. One that is worked for gives it only
// if its address has more of them than the newcomer's. The caller holds the lock.
func (l *Listener) victim(source netip.Prefix) *connection {
	var waiting, working *connection
	for c := range l.held {
		switch share := l.sources[c.source]; {
		case share < l.sources[source]:
		case !c.worked():
			waiting = l.sooner(waiting, c)
		case share > l.sources[source]:
			working = l.sooner(working, c)
		}
	}
	if waiting != nil {
		return waiting
	}
	return working
}

// sooner is which of two connections has to go first; nil is none.
func (l *Listener) sooner(a, b *connection) *connection {
	switch {
	case a == nil:
		return b
	case l.sources[a.source] != l.sources[b.source]:
		if l.sources[a.source] > l.sources[b.source] {
			return a
		}
		return b
	case a.since < b.since:
		return a
	}
	return b
}

// drop forgets a connection. The caller holds the lock.
func (l *Listener) drop(c *connection) {
	if _, held := l.held[c]; held {
		delete(l.held, c)
		l.leave(c.source)
	}
}

func (l *Listener) leave(source netip.Prefix) {
	if l.sources[source]--; l.sources[source] == 0 {
		delete(l.sources, source)
	}
}

// wait counts how long the peer is waited for from now on. The caller holds the lock.
func (c *connection) wait() {
	c.listener.turn++
	c.since = c.listener.turn
}

func (c *connection) change(change func()) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	change()
}

// begin notes that a request is answered from now on, and end that it is not any more.
func (c *connection) begin() {
	c.change(func() { c.requests++; c.head = false; c.wait() })
}

func (c *connection) end() {
	c.change(func() { c.requests--; c.wait() })
}

// rest notes that another request may come.
func (c *connection) rest() {
	c.change(func() { c.head, c.idle, c.lines = true, true, 0 })
}

// pause runs wait, which waits for the peer while a request is answered.
func (c *connection) pause(wait func()) {
	c.change(func() { c.pauses++ }) // its wait is as old as the request, however little arrives at a time
	defer c.change(func() { c.pauses-- })
	wait()
}

// Read implements net.Conn. It counts the lines of headers, and begins the wait for them anew when the first arrives.
func (c *connection) Read(p []byte) (n int, err error) {
	n, err = c.Conn.Read(p)
	c.change(func() {
		if !c.head || n == 0 {
			return
		}
		if c.idle {
			c.idle = false
			c.wait()
		}
		if c.lines += bytes.Count(p[:n], []byte{'\n'}); c.lines > bounds.HeaderLines {
			n, err = 0, errHeaderLines
		}
	})
	return n, err
}

// Write implements net.Conn. A peer that reads slowly is waited for.
func (c *connection) Write(p []byte) (n int, err error) {
	if answer := c.listener.largeHeaders; answer != nil && c.refusesHeaders(p) {
		c.pause(func() { _, err = c.Conn.Write(answer) })
		return len(p), err
	}
	c.pause(func() { n, err = c.Conn.Write(p) })
	return n, err
}

// refusesHeaders tells that net/http itself, and no handler, answers that the headers are too large, which it does in one write.
func (c *connection) refusesHeaders(p []byte) (refuses bool) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 431 ")) {
		return false
	}
	c.change(func() { refuses = c.requests == 0 })
	return refuses
}

// CloseWrite lets net/http end an answer to a request that it does not read.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.drop(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// sourceOf is where a connection comes from. An IPv6 peer has 2^64 addresses, so its network counts.
func sourceOf(address net.Addr) netip.Prefix {
	remote, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{} // all that cannot be told apart are one
	}
	ip := remote.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
