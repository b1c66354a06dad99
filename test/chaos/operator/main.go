// Command operator is the operator as cmd/tokenkeeper runs it, with a clock that the fault suite sets while it runs, and an address from which
// it speaks to marketplaces.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/internal/operator"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

const (
	// offsetVariable names the file that says how far this clock is ahead of the machine's, such as -1h.
	offsetVariable = "TOKENKEEPER_CHAOS_CLOCK"
	// addressVariable says which address of this machine requests to marketplaces come from.
	addressVariable = "TOKENKEEPER_CHAOS_ADDRESS"
)

func main() {
	go endWithSuite()
	options, err := operator.Parse(flag.CommandLine, os.Args[1:])
	if err == nil {
		options.Clock = wrongClock{file: os.Getenv(offsetVariable)}
		options.RequestEvery = time.Millisecond // the suite asks for renewals one after the other
		transport := outgoing.NewTransport()
		transport.DialContext = (&net.Dialer{
			Timeout: timeouts.Dial, LocalAddr: &net.TCPAddr{IP: net.ParseIP(os.Getenv(addressVariable))},
		}).DialContext
		options.Transport = transport
		err = operator.Run(ctrl.SetupSignalHandler(), options)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tokenkeeper:", err)
		os.Exit(1)
	}
}

// endWithSuite ends this program when the suite does, however that ends: standard input is a pipe from there.
func endWithSuite() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(2)
}

// wrongClock looks at its file each time, as a clock that is set under a running program does.
type wrongClock struct {
	clock.RealClock
	file string
}

// Now implements clock.PassiveClock.
func (c wrongClock) Now() time.Time { return c.RealClock.Now().Add(c.offset()) }

// Since implements clock.PassiveClock.
func (c wrongClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// offset is zero until one is written.
func (c wrongClock) offset() time.Duration {
	text, err := os.ReadFile(c.file)
	if err != nil {
		return 0
	}
	offset, err := time.ParseDuration(string(text))
	if err != nil {
		return 0 // it is being written
	}
	return offset
}
