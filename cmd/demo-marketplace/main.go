// Command demo-marketplace is an OAuth 2 platform to try tokenkeeper against: it speaks like Allegro, eBay, Amazon, an
// Auth0 tenant and a plain OpenID Connect provider, with tokens that live for seconds, and like every other platform of which
// test/marketplaces has exchanges. It listens on loopback only, unless
// --anyone is given, prints its address, and ends on SIGINT or SIGTERM. What can be tried is told at /_demo/.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo-marketplace:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	options, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	switch {
	case options.version:
		_, err := fmt.Fprintln(stdout, version.Get().Line("demo-marketplace"))
		return err
	case options.manifests != "":
		return printManifests(stdout, os.DirFS(options.manifests), options.url)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	market := options.market()
	base := options.base(listener.Addr())
	market.SetBaseURL(base)
	handler, err := options.handler(market)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if _, err := fmt.Fprintln(stdout, base); err != nil {
		return errors.Join(fmt.Errorf("printing the address: %w", err), listener.Close())
	}
	return options.serve(ctx, listener, handler)
}

// serve answers requests until ctx ends, and lets the ones that have begun finish.
func (o options) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: timeouts.DemoHeaders}
	stopped := make(chan error, 1)
	go func() {
		if o.certFile != "" {
			stopped <- server.ServeTLS(listener, o.certFile, o.keyFile)
			return
		}
		stopped <- server.Serve(listener)
	}()
	select {
	case err := <-stopped:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.DemoShutdown)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return server.Close() // requests that hang are cut off
	}
	return nil
}
