package demomarket

import (
	"net/http"
	"time"
)

// observed puts the judge, the outages and the faults between a client and an endpoint.
func (m *Market) observed(endpoint Endpoint, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, r := m.begin(endpoint, r)
		if endpoint == TokenEndpoint {
			defer m.server.load.enter()()
			defer m.judge.load.enter()()
		}
		watched := &watchedWriter{ResponseWriter: w, begun: func() {
			x.gone = r.Context().Err() != nil
			m.judge.record(m, x)
		}}
		// Deferred, because a fault that closes the connection panics.
		defer func() { m.judge.close(x, watched) }()

		// A request that was sent arrives, even if its sender is gone by then.
		wait(r.Context(), m.delay(endpoint))
		if m.isDown() {
			maintenance().write(watched)
			return
		}
		if struck := m.strike(x); struck != nil {
			struck.fault.hook(watched, r, serve)
			return
		}
		serve(watched, r)
	})
}

// delay is how long a request waits before it is acted on. A token answer waits as long again.
func (m *Market) delay(endpoint Endpoint) time.Duration {
	if endpoint == TokenEndpoint {
		return m.slowness() / 2
	}
	return m.slowness()
}

// watchedWriter counts what leaves, and tells the judge before anything does: a client that has its answer finds the
// request in the report.
type watchedWriter struct {
	http.ResponseWriter
	begun   func()
	started bool
	size    int
	err     error
}

// WriteHeader implements http.ResponseWriter.
func (w *watchedWriter) WriteHeader(status int) {
	w.start()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *watchedWriter) Write(body []byte) (int, error) {
	w.start()
	n, err := w.ResponseWriter.Write(body)
	w.size += n
	if err != nil {
		w.err = err
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// start tells the judge, once.
func (w *watchedWriter) start() {
	if !w.started {
		w.started = true
		w.begun()
	}
}
