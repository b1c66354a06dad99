package httpserver

import (
	"context"
	"io"
	"net"
	"net/http"
)

type connectionKey struct{}

// withConnection lets handlers find the connection of their request.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if held := connectionOf(c); held != nil {
		return context.WithValue(ctx, connectionKey{}, held)
	}
	return ctx
}

// connectionOf is the Listener's part of a connection, also below TLS; nil where there is none.
func connectionOf(c net.Conn) *connection {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn()
	}
	held, _ := c.(*connection)
	return held
}

// requestEnded hears that a connection is kept for another request.
func requestEnded(c net.Conn, state http.ConnState) {
	if held := connectionOf(c); held != nil && state == http.StateIdle {
		held.rest()
	}
}

// tracked tells the Listener while a request is worked on.
func tracked(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held, _ := r.Context().Value(connectionKey{}).(*connection)
		if held == nil {
			handler.ServeHTTP(w, r)
			return
		}
		held.begin()
		defer held.end()
		if r.Body != http.NoBody {
			r.Body = &body{r.Body, held}
		}
		handler.ServeHTTP(w, r)
	})
}

// body waits for the peer when it is read.
type body struct {
	io.ReadCloser
	connection *connection
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	b.connection.pause(func() { n, err = b.ReadCloser.Read(p) })
	return n, err
}
