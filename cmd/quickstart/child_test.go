package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a script as a child, and waits until it has written a line.
func shell(t *testing.T, script string) *child {
	t.Helper()
	output := make(lines, 1)
	c, err := startChild(t.Context(), "the script", filepath.Join(t.TempDir(), "log"), output, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.process.Kill() })
	<-output
	return c
}

// lines tells of every write.
type lines chan struct{}

func (l lines) Write(text []byte) (int, error) {
	l <- struct{}{}
	return len(text), nil
}

// checkSignal wants a child to have died of a signal.
func checkSignal(t *testing.T, c *child, want syscall.Signal) {
	t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](c.err)
	if !ok {
		t.Fatalf("it ended with %v", c.err)
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signal() != want {
		t.Errorf("it died of %s, want %s", status.Signal(), want)
	}
}

func TestStopAsks(t *testing.T) {
	c := shell(t, "echo up; exec sleep 600")
	if err := c.stop(nil); err != nil {
		t.Fatal(err)
	}
	checkSignal(t, c, syscall.SIGTERM)
	if err := c.stop(nil); err != nil {
		t.Errorf("stopping again: %v", err)
	}
}

func TestStopInAHurryDoesNotWait(t *testing.T) {
	c := shell(t, `trap "" TERM; echo up; exec sleep 600`)
	hurry := make(chan struct{})
	close(hurry)
	if err := c.stop(hurry); err != nil {
		t.Fatal(err)
	}
	checkSignal(t, c, syscall.SIGKILL)
}

func TestStopOfNothing(t *testing.T) {
	var c *child
	if err := c.stop(nil); err != nil {
		t.Error(err)
	}
}

func TestLostTellsTheEndOfTheLog(t *testing.T) {
	c := shell(t, "echo up; echo cause >&2; exit 3")
	<-c.ended
	message := c.lost().Error()
	if !strings.Contains(message, "the script has ended: exit status 3") || !strings.Contains(message, "\n  cause") {
		t.Errorf("it says %q", message)
	}
}

func TestUntil(t *testing.T) {
	broken := errors.New("broken")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errInterrupted)
	forever := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := map[string]struct {
		script string
		ctx    context.Context
		limit  time.Duration
		wait   func(context.Context) error
		want   string // empty when there is no error
	}{
		"it comes up":       {"echo up; exec sleep 600", t.Context(), time.Minute, func(context.Context) error { return nil }, ""},
		"the wait fails":    {"echo up; exec sleep 600", t.Context(), time.Minute, func(context.Context) error { return broken }, "broken"},
		"it ends":           {"echo up; exit 3", t.Context(), time.Minute, forever, "the script has ended: exit status 3"},
		"it takes for ever": {"echo up; exec sleep 600", t.Context(), time.Millisecond, forever, "the script is not up after 1ms"},
		"somebody stops it": {"echo up; exec sleep 600", stopped, time.Minute, forever, "interrupted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := shell(t, test.script).until(test.ctx, test.limit, test.wait)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("err = %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestStartChildThatDoesNotExist(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nothing")
	if _, err := startChild(t.Context(), "nothing", nowhere+".log", nil, nowhere); err == nil {
		t.Error("it starts")
	}
}
