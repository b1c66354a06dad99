package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// operatorUser is the user as whom the operator works. It is bound to its roles and to nothing else.
const operatorUser = "tokenkeeper"

// operator is the operator as a program.
type operator struct {
	*child
	metricsURL string
}

// startOperator starts the operator and waits until it serves its metrics. An operator that it returns with an error must be
// stopped, too.
func startOperator(ctx context.Context, path, kubeconfig, log string, portal portal) (*operator, error) {
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	child, err := startChild(ctx, "the operator", log, nil, path,
		"--kubeconfig", kubeconfig,
		"--metrics-bind-address", metrics,
		"--health-probe-bind-address", "0",
		"--portal-bind-address", portal.address,
		"--portal-url", portal.url,
		"--leader-elect=false",
		"--require-use-label",
	)
	if err != nil {
		return nil, err
	}
	o := &operator{child: child, metricsURL: "http://" + metrics + "/metrics"}
	return o, child.until(ctx, time.Minute, o.awaitMetrics)
}

// freeAddress is an address on loopback that no program listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close() // no connection was accepted
	return listener.Addr().String(), nil
}

// awaitMetrics returns when the operator serves its metrics, or ctx ends.
func (o *operator) awaitMetrics(ctx context.Context) error {
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := fetch(ctx, o.metricsURL)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticks.C:
		}
	}
}

// fetch wants an answer with status 200.
func fetch(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// stop ends the operator. It may be called for nil.
func (o *operator) stop(hurry <-chan struct{}) error {
	if o == nil {
		return nil
	}
	return o.child.stop(hurry)
}
