package demomarket

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// record counts a request whose answer is about to leave, or which gets none. It does so once.
func (m *Market) record(x *exchange) {
	if x.outcome == "" {
		x.outcome = platforms.Faulted
	}
	if x.recorded != nil {
		return
	}
	x.recorded = m.judge.Record(judge.Seen{
		Endpoint: x.endpoint, Grant: countedGrant(x.grant()), Outcome: x.outcome,
		DoubleSpend: x.judgement == tokens.SpentTwice, GraceReuse: x.judgement == tokens.ReusedInGrace,
	}, func() judge.Request { return x.describe(m.platform.Name) })
}

// end ends a request. If a new refresh token is in force of which the client cannot know, that is a lost pair when it
// was meant to be lost, and an abandoned one when the client went away.
func (m *Market) end(x *exchange, w *watchedWriter) {
	w.start()
	gone := x.gone || w.err != nil
	if x.pair && (w.size < x.size || gone) {
		m.judge.Lose(x.recorded, !x.strike.Dropped && (x.strike.Injected == nil || gone))
	}
}

// countedGrant keeps the report small whatever clients ask for.
func countedGrant(grant string) string {
	if _, known := grantHandlers()[grant]; known {
		return grant
	}
	return "other"
}

// describe is the exchange as a Request.
func (x *exchange) describe(platform string) judge.Request {
	return judge.Request{
		Time:        x.time,
		Platform:    platform,
		Grant:       x.grant(),
		Parameters:  x.parameters,
		Header:      x.request.Header.Clone(),
		ContentType: mediaType(x.request),
		Basic:       x.basic != nil,
		ClientID:    x.clientID,
		Outcome:     x.outcome,
		DoubleSpend: x.judgement == tokens.SpentTwice,
		GraceReuse:  x.judgement == tokens.ReusedInGrace,
	}
}

// watchedWriter counts the bytes that leave, and tells the judge before anything does: a client that has its answer finds the
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
