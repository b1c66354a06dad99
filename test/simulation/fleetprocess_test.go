package simulation_test

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// running is an operator's process, as the world sees it.
type running struct {
	fleet   *fleet
	command *exec.Cmd
	out     *gob.Encoder
	in      *gob.Decoder
	files   []io.Closer
	// waits tells that its call waits for an answer.
	waits bool
	// spent is its processor time when it was measured last.
	spent time.Duration
}

// begin starts an operator.
func (f *fleet) begin(t *testing.T, more ...string) *running {
	t.Helper()
	answers, answering, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	asking, calls, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f.api.watches = map[int]*apiWatch{}
	o := &running{fleet: f, out: gob.NewEncoder(answering), in: gob.NewDecoder(asking), files: []io.Closer{answering, asking}}
	arguments := append([]string{"-test.run=^TestOperatorOfAFleet$", "-test.timeout=0", "-operator", fmt.Sprintf("-since=%s", time.Since(f.world.began)),
		fmt.Sprintf("-workers=%d", *poolOfWork), fmt.Sprintf("-writes=%d", *writesEach)}, more...)
	f.begun++
	if *profile != "" {
		arguments = append(arguments, fmt.Sprintf("-profile=%s.%d", *profile, f.begun))
	}
	o.command = exec.Command(os.Args[0], arguments...)
	o.command.ExtraFiles = []*os.File{answers, calls}
	o.command.Stdout, o.command.Stderr = os.Stderr, os.Stderr
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = answers.Close(), calls.Close()
	t.Cleanup(o.close)
	return o
}

func (o *running) close() {
	_ = o.command.Process.Kill()
	_ = o.command.Wait()
	for _, file := range o.files {
		_ = file.Close()
	}
}

// next hears the next call, and sets the clock.
func (o *running) next(t *testing.T) call {
	t.Helper()
	var c call
	if err := o.in.Decode(&c); err != nil {
		t.Fatalf("the operator's process ended: %v", err)
	}
	time.Sleep(time.Until(c.At)) //nolint:forbidigo // in virtual time
	return c
}

func (o *running) reply(t *testing.T, a answer) {
	t.Helper()
	a.Watched = append(a.Watched, o.fleet.api.undelivered...)
	o.fleet.api.undelivered = nil
	if err := o.out.Encode(a); err != nil {
		t.Fatalf("the operator's process ended: %v", err)
	}
}

// serve answers a request; false for what is no request.
func (o *running) serve(t *testing.T, c call) bool {
	t.Helper()
	switch c.Kind {
	case toAPIServer:
		o.reply(t, o.fleet.api.answer(c))
	case toWatch:
		o.reply(t, o.fleet.api.more(c.Watch))
	case toMarketplace:
		o.reply(t, o.fleet.ask(c))
	default:
		return false
	}
	return true
}

// run lets the operator work until a moment.
func (o *running) run(t *testing.T, until time.Time) {
	t.Helper()
	if o.waits {
		o.reply(t, answer{})
	}
	for {
		c := o.next(t)
		if o.serve(t, c) {
			continue
		}
		o.fleet.come()
		o.fleet.now().tick(c.Sample)
		if o.fleet.world.broken != "" {
			t.Fatal(o.fleet.world.broken)
		}
		if o.waits = !time.Now().Before(until); o.waits {
			return
		}
		o.reply(t, answer{})
	}
}

// measure has the operator measure its memory.
func (o *running) measure(t *testing.T) sample {
	t.Helper()
	o.reply(t, answer{Do: measureMemory})
	said := o.next(t).Sample
	o.spent = said.Measured
	return said
}

// stop asks the operator to end, and waits until it has.
func (o *running) stop(t *testing.T) {
	t.Helper()
	o.reply(t, answer{Do: end})
	for o.serve(t, o.next(t)) {
		continue // it stores the tokens that it has in hand
	}
	o.close()
}
