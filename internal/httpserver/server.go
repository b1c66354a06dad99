package httpserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Options are the parts of a server that its caller brings.
type Options struct {
	// Handler answers requests.
	Handler http.Handler
	// AnswerTimeout is how long an answer may take, from the end of the headers; zero means timeouts.Answer.
	AnswerTimeout time.Duration
	// Log takes net/http's messages about connections.
	Log logr.Logger
}

// New returns a server with bounded timeouts and headers. It serves a Listener of this package.
func New(options Options) *http.Server {
	if options.AnswerTimeout == 0 {
		options.AnswerTimeout = timeouts.Answer
	}
	return &http.Server{
		Handler:           tracked(options.Handler),
		ReadHeaderTimeout: timeouts.ReadHeaders,
		ReadTimeout:       timeouts.ReadRequest,
		WriteTimeout:      options.AnswerTimeout,
		IdleTimeout:       timeouts.IdleConnection,
		MaxHeaderBytes:    bounds.HeaderBytes,
		ErrorLog:          log.New(connectionLog{options.Log}, "", 0),
		ConnContext:       withConnection,
		ConnState:         requestEnded,
	}
}

// Listen listens on a TCP address, and holds at most so many connections.
func Listen(ctx context.Context, address string, connections int) (*Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return Bound(listener, connections), nil
}

// ListenTLS is Listen for connections over TLS.
func ListenTLS(ctx context.Context, address string, connections int, config *tls.Config) (*Listener, error) {
	listener, err := Listen(ctx, address, connections)
	if err != nil {
		return nil, err
	}
	return BoundTLS(listener.Listener, connections, config), nil
}

// connectionLog takes net/http's messages about connections.
type connectionLog struct{ log logr.Logger }

// Write implements io.Writer.
func (l connectionLog) Write(line []byte) (int, error) {
	l.log.V(1).Info("Connection failed", "message", strings.TrimSpace(string(line)))
	return len(line), nil
}
