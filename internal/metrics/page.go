package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// Page serves the metrics of a registry, in the text format of Prometheus. However many clients ask, metrics are gathered once at a time,
// for all requests that wait by then, and no more than a part of the time. A slow reader holds a compressed page. It is safe for
// concurrent use.
type Page struct {
	gatherer prometheus.Gatherer
	now      func() time.Time

	mu   sync.Mutex // guards next and busy
	next *scrape    // begins after the one that is under way; nil while no request waits for it
	busy bool       // a goroutine gathers, or rests from it
}

// scrape is one answer, for all requests that waited for it.
type scrape struct {
	done chan struct{} // closed when the rest is there
	page []byte        // compressed
	err  error
}

// NewPage returns a page of the metrics that gatherer gathers. now tells the time.
func NewPage(gatherer prometheus.Gatherer, now func() time.Time) *Page {
	return &Page{gatherer: gatherer, now: now}
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the metrics are read with GET", http.StatusMethodNotAllowed)
		return
	}
	page, err := p.read(r.Context())
	switch {
	case r.Context().Err() != nil: // the client has gone
		return
	case err != nil:
		http.Error(w, "the metrics cannot be gathered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	header.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		_, _ = w.Write(page) // to a peer that may have gone
		return
	}
	if plain, err := gzip.NewReader(bytes.NewReader(page)); err == nil {
		_, _ = io.Copy(w, plain) //nolint:gosec // It is what we compressed ourselves.
	}
}

func acceptsGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(coding, ";")
			if strings.TrimSpace(name) == "gzip" {
				return strings.TrimSpace(parameters) != "q=0"
			}
		}
	}
	return false
}

// read returns metrics that are gathered after now, as a compressed page.
func (p *Page) read(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	if p.next == nil {
		p.next = &scrape{done: make(chan struct{})}
	}
	waits := p.next
	if !p.busy {
		p.busy = true
		go p.work()
	}
	p.mu.Unlock()
	select {
	case <-waits.done:
		return waits.page, waits.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// work gathers as long as requests wait, and rests for three times as long as that took: reading the metrics cannot keep a processor
// from the renewals.
func (p *Page) work() {
	for {
		p.mu.Lock()
		waits := p.next
		p.next, p.busy = nil, waits != nil
		p.mu.Unlock()
		if waits == nil {
			return
		}
		begun := p.now()
		waits.page, waits.err = p.render()
		close(waits.done)
		rest := min(3*p.now().Sub(begun), bounds.LongestMetricsRest)
		<-time.After(rest) // at once where a clock was set back
	}
}

func (p *Page) render() ([]byte, error) {
	families, err := p.gatherer.Gather()
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&page, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compressing metrics: %w", err)
	}
	text := expfmt.NewEncoder(compressed, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		err = errors.Join(err, text.Encode(family))
	}
	err = errors.Join(err, compressed.Close())
	return page.Bytes(), err
}
