package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// floorProcess is the floor as a process of its own, as the operator is one.
type floorProcess struct {
	process
	in io.WriteCloser

	mu sync.Mutex // guards to
	to *json.Encoder
}

// startFloor starts the floor, and waits until it is ready. The bench knows the address and the concurrency.
func (b *bench) startFloor(ctx context.Context, settings floorSettings) (*floorProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	f := &floorProcess{process: process{exec.CommandContext(ctx, self, floorArgument)}} //nolint:gosec // ourselves
	f.Stderr = os.Stderr
	if f.in, err = f.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.Start(); err != nil {
		return nil, fmt.Errorf("starting the floor: %w", err)
	}
	f.to = json.NewEncoder(f.in)
	settings.Kubeconfig, settings.TokenURL, settings.Concurrency = b.cluster.Kubeconfig(), b.market.url+"/allegro/auth/oauth/token", b.concurrency
	if err := f.write(settings); err != nil {
		return nil, f.end(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
		return nil, f.end(fmt.Errorf("waiting for the floor: %w", err))
	}
	return f, nil
}

// serve tells the floor of an account that was created.
func (f *floorProcess) serve(account *v1alpha1.MarketplaceAccount) error {
	return f.write(floorLine{Namespace: account.Namespace, Name: account.Name, UID: string(account.UID)})
}

// write writes a line. Many goroutines may do so.
func (f *floorProcess) write(value any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.to.Encode(value)
}

// end ends the floor, after an error or nil, and returns that and the floor's own.
func (f *floorProcess) end(err error) error {
	if e := errors.Join(f.in.Close(), f.Wait()); e != nil {
		return errors.Join(err, fmt.Errorf("ending the floor: %w", e))
	}
	return err
}
