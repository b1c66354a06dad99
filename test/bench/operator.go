package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// operator is the program that is measured.
type operator struct {
	process
	log     string
	started time.Time
	// portalURL and metricsURL are where it listens.
	portalURL, metricsURL string
}

// startOperator starts the operator with its portal on a free port, and waits until it is ready.
func (b *bench) startOperator(ctx context.Context, flags ...string) error {
	return b.startOperatorOn(ctx, b.cluster.Kubeconfig(), flags...)
}

// startOperatorOn does so with a kubeconfig that may lead through a proxy.
func (b *bench) startOperatorOn(ctx context.Context, kubeconfig []byte, flags ...string) error {
	path := filepath.Join(b.dir, "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	var ports [3]string
	for i := range ports {
		var err error
		if ports[i], err = freePort(ctx); err != nil {
			return err
		}
	}
	o := &operator{
		log: filepath.Join(b.dir, "operator.log"), portalURL: "http://localhost:" + ports[0], metricsURL: "http://127.0.0.1:" + ports[2] + "/metrics",
	}
	log, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()
	b.market.SeedPortal(o.portalURL)
	o.Cmd = exec.CommandContext(ctx, b.program(), append([]string{ //nolint:gosec // our own program
		"--kubeconfig=" + path, "--leader-elect=false", "--require-use-label", "--metrics-bind-address=127.0.0.1:" + ports[2],
		"--health-probe-bind-address=127.0.0.1:" + ports[1], "--portal-bind-address=127.0.0.1:" + ports[0], "--portal-url=" + o.portalURL,
	}, flags...)...)
	o.Stdout, o.Stderr = log, log
	o.Cancel = func() error { return o.Process.Signal(syscall.SIGTERM) }
	o.WaitDelay = 2 * time.Minute
	o.started = time.Now()
	if err := o.Start(); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	b.operator = o
	return until(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		for _, address := range []string{"http://127.0.0.1:" + ports[1] + "/readyz", o.portalURL + "/readyz"} {
			if !answers(ctx, address) {
				return false, o.alive()
			}
		}
		return true, nil
	})
}

// stopOperator ends the operator as Kubernetes does.
func (b *bench) stopOperator() error {
	if b.operator == nil {
		return nil
	}
	o := b.operator
	b.operator = nil
	if err := o.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the operator: %w", err)
	}
	return o.Wait()
}

// lastWords are the end of its log, for whoever wonders why a scenario failed.
func (o *operator) lastWords() string {
	if o == nil {
		return ""
	}
	text, err := os.ReadFile(o.log)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "\nthe operator's last words:\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}

// atRest leaves the operator alone for a while and reads its memory in MiB: what the system gave it, and what of its heap
// was alive after the last garbage collection.
func (b *bench) atRest(ctx context.Context) (resident, alive float64, err error) {
	if err := pause(ctx, b.rest); err != nil {
		return 0, 0, err
	}
	if resident, _, err = b.operator.resident(); err != nil { // before the scrape, which takes memory
		return 0, 0, err
	}
	s, err := b.operator.scrape(ctx)
	// The next collection is due when there is GOGC per cent as much garbage as was alive.
	return resident, s.values["go_memstats_next_gc_bytes"] / (1 + s.values["go_gc_gogc_percent"]/100) / (1 << 20), err
}

// settled waits until the operator has used next to no processor time for two seconds, and returns when these began. Unlike
// idle it leaves no garbage in the operator's memory.
func (b *bench) settled(ctx context.Context, patience time.Duration) (since time.Time, err error) {
	const next = 50 * time.Millisecond
	used, looked := time.Duration(0), time.Now()
	err = until(ctx, patience, func(context.Context) (bool, error) {
		if time.Since(looked) < time.Second {
			return false, nil
		}
		now, err := b.operator.cpu()
		if now-used > next || since.IsZero() {
			since = time.Now()
		}
		used, looked = now, time.Now()
		return time.Since(since) > 2*time.Second-next, err
	})
	return since, err
}
