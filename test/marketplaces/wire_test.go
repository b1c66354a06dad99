package marketplaces_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// wire takes requests in the place of a network, keeps them letter by letter, and answers as the file says.
type wire struct {
	step *exchange.Step
	sent []string
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
	}
	like := w.step.Request
	if like == nil {
		like = &exchange.Request{}
	}
	w.sent = append(w.sent, exchange.Text(request.Method, request.URL.String(), request.Header, string(body), like))
	if trace := httptrace.ContextClientTrace(request.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	answer := w.step.Answer
	if answer == nil {
		return nil, errors.New("the connection was closed")
	}
	return &http.Response{
		StatusCode: answer.Status, Header: answer.Header.Clone(), Request: request, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(answer.Body)),
	}, nil
}

// difference tells what was sent that the file does not say, or the other way round; empty when there is none.
func (w *wire) difference() string {
	switch {
	case w.step.Request == nil && len(w.sent) == 0:
		return ""
	case w.step.Request == nil:
		return fmt.Sprintf("nothing must be, and this was:\n%s", w.sent[0])
	case len(w.sent) != 1:
		return fmt.Sprintf("%d requests, want 1", len(w.sent))
	}
	if difference := cmp.Diff(w.step.Request.Text(), w.sent[0]); difference != "" {
		return "(-want +got):\n" + difference
	}
	return ""
}
