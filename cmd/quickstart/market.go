package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// market is the demo marketplace.
type market struct {
	*child
	url string // without a trailing slash
}

// startMarket starts the demo marketplace on a free port. Its applications may send people back to the portal. A marketplace
// that it returns with an error must be stopped, too.
func startMarket(ctx context.Context, path, log string, portal portal) (*market, error) {
	output, input, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	child, err := startChild(ctx, "the demo marketplace", log, input, path, "--portal-url", portal.url)
	_ = input.Close() // the child has its own
	if err != nil {
		return nil, errors.Join(err, output.Close())
	}
	m := &market{child: child}
	return m, child.until(ctx, 30*time.Second, func(ctx context.Context) error { return m.readAddress(ctx, output) })
}

// readAddress takes the first line that the demo marketplace writes. All further lines are thrown away.
func (m *market) readAddress(ctx context.Context, output *os.File) error {
	done := context.AfterFunc(ctx, func() { _ = output.Close() })
	lines := bufio.NewReader(output)
	line, err := lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the demo marketplace's address: %w", err)
	}
	done()
	m.url = strings.TrimSpace(line)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return nil
}

// stop ends the demo marketplace. It may be called for nil.
func (m *market) stop(hurry <-chan struct{}) error {
	if m == nil {
		return nil
	}
	return m.child.stop(hurry)
}
