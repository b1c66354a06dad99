package faults

import (
	"bytes"
	"maps"
	"net/http"
)

// The faults of this file close connections by panicking with http.ErrAbortHandler, which a http.Server understands; a
// caller of ServeHTTP without one has to recover.

// Hang keeps a request until its client goes away, and then forgets it, or until Release, and then lets it go on to the
// platform.
func Hang() Fault {
	return newFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-strikeOf(r).Injected.released:
			next.ServeHTTP(w, r)
		}
	})
}

// HangAfterCommit lets the platform act, and keeps its answer until the client goes away, which loses it, or until
// Release.
func HangAfterCommit() Fault {
	return newFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		held := hold(r, next)
		select {
		case <-r.Context().Done():
			strikeOf(r).Dropped = true
			panic(http.ErrAbortHandler)
		case <-strikeOf(r).Injected.released:
			held.send(w)
		}
	})
}

// DropBeforeCommit closes the connection before the platform acts.
func DropBeforeCommit() Fault {
	return newFault(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
}

// DropAfterCommit lets the platform act and closes the connection: the refresh token is spent and the answer lost.
func DropAfterCommit() Fault {
	return newFault(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		hold(r, next)
		strikeOf(r).Dropped = true
		panic(http.ErrAbortHandler)
	})
}

// CutAnswer lets the platform act and closes the connection in the middle of its answer.
func CutAnswer() Fault {
	return newFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		held := hold(r, next)
		strikeOf(r).Dropped = true
		held.body.Truncate(held.body.Len() / 2)
		held.send(w)
		_ = http.NewResponseController(w).Flush() // a writer that cannot flush loses the first half too
		panic(http.ErrAbortHandler)
	})
}

// heldAnswer is an answer of the platform that has not left yet.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// hold lets next answer into a heldAnswer.
func hold(r *http.Request, next http.Handler) *heldAnswer {
	held := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(held, r)
	return held
}

// Header implements http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write implements io.Writer.
func (h *heldAnswer) Write(body []byte) (int, error) { return h.body.Write(body) }

// send writes the answer.
func (h *heldAnswer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), h.header)
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes()) // whether it arrived is the judge's business
}
