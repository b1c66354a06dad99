package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/gomega"
)

// Where requests to the marketplace come from, so that the front knows their replica.
const (
	operatorsAddress = "127.0.0.1"
	portalsAddress   = "127.0.0.3"
)

// operator is one replica of the operator, which a story kills and starts again: a process that also serves the portal or, with -chaos.apart,
// one without portal and beside it a process that serves nothing else.
type operator struct {
	*process
	// portal is the process that serves the portal: the same one, or that beside it.
	portal *process
}

// operator makes a replica that does not run yet.
func (w *world) operator(args ...string) *operator {
	w.t.Helper()
	o := &operator{process: w.process("operator", w.user, args...)}
	o.portal = o.process
	if *apart {
		o.portal = w.process("portal", w.portalUser, "--portal-only")
		o.portal.address = portalsAddress
		w.portals = append(w.portals, o.portal)
	}
	o.portal.pages = ownAddress()
	w.t.Cleanup(o.expectPages)
	return o
}

// ownAddress is one on loopback that no process of this machine uses: no connection from it takes the port while no program listens.
func ownAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:8082", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// start starts the processes of the replica that do not run, and does not wait for their work.
func (o *operator) start() {
	o.w.t.Helper()
	o.process.start()
	o.portal.start()
}

// started is a replica that runs.
func (w *world) started(args ...string) *operator {
	w.t.Helper()
	o := w.operator(args...)
	o.start()
	return o
}

// kill ends the replica as kill -9 does.
func (o *operator) kill() {
	o.process.kill()
	o.portal.kill()
}

// end asks the replica to end. The returned channel tells how that went.
func (o *operator) end() <-chan error {
	o.w.t.Helper()
	ends := []<-chan error{o.process.end()}
	if o.portal != o.process {
		ends = append(ends, o.portal.end())
	}
	ended := make(chan error, 1)
	go func() {
		var err error
		for _, end := range ends {
			err = errors.Join(err, <-end)
		}
		ended <- err
	}()
	return ended
}

// setClock puts the replica's clock ahead of everybody else's, or behind.
func (o *operator) setClock(ahead time.Duration) {
	o.w.t.Helper()
	o.process.setClock(ahead)
	o.portal.setClock(ahead)
}

// loseAPIServer makes the API server unreachable for the replica, until the returned function is called.
func (o *operator) loseAPIServer() (find func()) {
	o.process.proxy.stop()
	o.portal.proxy.stop()
	return func() {
		o.process.proxy.resume()
		o.portal.proxy.resume()
	}
}

// expectPages wants a replica that runs at the end of a story to serve the portal.
func (o *operator) expectPages() {
	o.w.t.Helper()
	if o.w.t.Failed() || !o.portal.running() {
		return
	}
	for _, path := range []string{"/readyz", "/"} {
		o.w.Eventually(func() error { return o.portal.serves(path) }).Should(Succeed())
	}
}

// expectIdlePortals wants portals apart to have read the objects that they show, and to have done nothing else: no person has signed in.
func (w *world) expectIdlePortals() {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	for _, portal := range w.portals {
		reads, writes := portal.proxy.counted()
		w.Expect(reads).To(BeNumerically(">", 0), "a portal apart that was never there")
		w.Expect(writes).To(BeEmpty(), "writes of a portal apart")
	}
	w.Expect(w.front.requestsFrom(portalsAddress)).To(BeZero(), "requests of portals apart to the marketplace")
}
