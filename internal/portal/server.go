package portal

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/httpserver"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// NeedLeaderElection tells the manager to serve the portal on every replica.
func (p *Portal) NeedLeaderElection() bool { return false }

// Start serves the portal until the context ends, and then lets the requests under way finish.
func (p *Portal) Start(ctx context.Context) error {
	listener, err := httpserver.Listen(ctx, p.bindAddress, bounds.PortalConnections)
	if err != nil {
		return fmt.Errorf("preparing the portal: %w", err)
	}
	return p.serve(ctx, listener)
}

func (p *Portal) serve(ctx context.Context, listener net.Listener) error {
	if bounded, ok := listener.(*httpserver.Listener); ok {
		bounded.AnswerLargeHeaders(p.largeHeaders())
	}
	// Requests under way outlive the context: a code that was exchanged must be stored.
	requests := context.WithoutCancel(ctx)
	server := httpserver.New(httpserver.Options{Handler: p, AnswerTimeout: timeouts.PortalAnswer, Log: p.log})
	server.BaseContext = func(net.Listener) context.Context { return requests }
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	p.log.Info("Serving the portal", "address", listener.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serving the portal: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(requests, timeouts.StopPortal)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		return errors.Join(fmt.Errorf("stopping the portal: %w", err), server.Close())
	}
	return nil
}
