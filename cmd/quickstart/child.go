package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// child is a program that runs beside this one. It is safe for concurrent use.
type child struct {
	name    string
	log     string // path of the file that takes its output
	process *os.Process
	ended   chan struct{}
	err     error // why it ended; to be read after ended is closed
}

// startChild starts a program in a process group of its own, where Ctrl-C in the terminal does not reach it. It runs
// until it is stopped: the end of ctx does not matter to it. Its output goes to the file log, but for standard output
// where there is another place for that.
func startChild(ctx context.Context, name, log string, stdout io.Writer, path string, args ...string) (*child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer file.Close() // the child has its own
	command := exec.CommandContext(context.WithoutCancel(ctx), path, args...)
	command.Stdout, command.Stderr = stdout, file
	if stdout == nil {
		command.Stdout = file
	}
	command.SysProcAttr = apart()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c := &child{name: name, log: log, process: command.Process, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = command.Wait()
	}()
	return c, nil
}

// lost is the error about a child that ended by itself, with the end of its log.
func (c *child) lost() error {
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return withLog(fmt.Errorf("%s has ended: %s", c.name, how), c.name, c.log)
}

// until runs a wait for an act of the child. The wait's context ends when the child does, or after limit.
func (c *child) until(ctx context.Context, limit time.Duration, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-c.ended:
			cancel(c.lost())
		case <-time.After(limit):
			cancel(withLog(fmt.Errorf("%s is not up after %s", c.name, limit), c.name, c.log))
		case <-ctx.Done():
		}
	}()
	err := wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return withLog(err, c.name, c.log)
}

// stop asks the child to end, and makes it end when its time is over or somebody is in a hurry. It may be called for a
// child that has ended, and for nil.
func (c *child) stop(hurry <-chan struct{}) error {
	if c == nil {
		return nil
	}
	asked := c.process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
		return nil
	case <-hurry:
	case <-patience(asked, timeouts.QuickstartStop):
	}
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", c.name, err)
	}
	<-c.ended
	return nil
}

// patience is over after the grace, or at once for a program that could not be asked.
func patience(asked error, grace time.Duration) <-chan time.Time {
	if asked != nil {
		grace = 0
	}
	return time.After(grace)
}
