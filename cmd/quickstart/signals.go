package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errInterrupted is the cause of a context that ended because the quickstart was asked to end.
var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends with the first signal to stop, and a channel that the second one closes.
// It ends as well when the program that started this one is gone: "go run" dies of SIGTERM without passing it on.
func interruptible(parent context.Context) (ctx context.Context, hurry <-chan struct{}) {
	ctx, stop := context.WithCancelCause(parent)
	signals, hurried := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, stopSignals()...)
	go func() {
		select {
		case <-signals:
		case <-orphaned(os.Getppid):
		}
		stop(errInterrupted)
		<-signals
		close(hurried)
	}()
	return ctx, hurried
}

// stopSignals are the signals that would end the program and leave its children behind. SIGPIPE comes when nobody reads the output
// any more, SIGHUP when the terminal goes away, unless nohup said that this should not matter.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// orphaned returns a channel that is closed when the parent process is another one than now.
func orphaned(parent func() int) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		first := parent()
		for range time.Tick(time.Second) {
			if parent() != first {
				return
			}
		}
	}()
	return gone
}
