package portal

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

const (
	// completeTimeout bounds what is done for a person who came back from a marketplace: the exchange of the code, and
	// the storing of what it brought.
	completeTimeout = 90 * time.Second
	// answerTimeout bounds everything else.
	answerTimeout = 30 * time.Second
	// shutdownTimeout lets a callback that is under way finish. The manager's own grace is longer.
	shutdownTimeout = completeTimeout + 5*time.Second
	// maxHeader holds a session and the cookies of several visits.
	maxHeader = 32 << 10
)

// NeedLeaderElection tells the manager to serve the portal on every replica.
func (p *Portal) NeedLeaderElection() bool { return false }

// Start serves the portal until the context ends, and then lets the requests under way finish.
func (p *Portal) Start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.bindAddress)
	if err != nil {
		return fmt.Errorf("listening for the portal: %w", err)
	}
	return p.serve(ctx, listener)
}

func (p *Portal) serve(ctx context.Context, listener net.Listener) error {
	// Requests under way outlive the context: a code that was exchanged must be stored.
	requests := context.WithoutCancel(ctx)
	server := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20*time.Second + completeTimeout, // counts from the end of the headers
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(connectionLog{p.log}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	p.log.Info("Serving the portal", "address", listener.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serving the portal: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(requests, shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		return errors.Join(fmt.Errorf("stopping the portal: %w", err), server.Close())
	}
	return nil
}

// connectionLog takes what net/http says about connections.
type connectionLog struct{ log logr.Logger }

// Write implements io.Writer.
func (l connectionLog) Write(line []byte) (int, error) {
	l.log.V(1).Info("Connection failed", "message", strings.TrimSpace(string(line)))
	return len(line), nil
}
