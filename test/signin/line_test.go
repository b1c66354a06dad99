package signin_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// line is the operator's only way to the API server, and can be cut: connections end then, and new ones are refused.
type line struct {
	t      *testing.T
	server string // address of the API server

	mu       sync.Mutex // guards the fields below
	address  string
	listener net.Listener
	open     map[net.Conn]bool
}

func newLine(t *testing.T, server string) *line {
	t.Helper()
	l := &line{t: t, server: server, address: "127.0.0.1:0", open: map[net.Conn]bool{}}
	if err := l.mend(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cut)
	return l
}

// mend makes the API server reachable.
func (l *line) mend() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		return err
	}
	l.listener, l.address = listener, listener.Addr().String()
	go l.accept(listener)
	return nil
}

// cut makes it unreachable.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for connection := range l.open {
		_ = connection.Close()
	}
	clear(l.open)
}

// cutFor makes it unreachable now, and reachable again after some real time.
func (l *line) cutFor(d time.Duration) {
	l.cut()
	later := time.AfterFunc(d, func() {
		if err := l.mend(); err != nil {
			l.t.Errorf("making the API server reachable again: %v", err)
		}
	})
	l.t.Cleanup(func() { later.Stop() })
}

func (l *line) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.server)
		if err != nil {
			_ = near.Close()
			continue
		}
		l.join(listener, near, far)
	}
}

// join carries the bytes of each end to the other, until one ends.
func (l *line) join(listener net.Listener, near, far net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != listener { // it was cut meanwhile
		_ = near.Close()
		_ = far.Close()
		return
	}
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		l.open[from] = true
		go func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
			_ = from.Close()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.open, from)
		}()
	}
}
