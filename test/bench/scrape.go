package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// scraped is one look at the operator's metrics.
type scraped struct {
	took time.Duration
	// series is how many time series there are, and ours how many of them are named tokenkeeper_….
	series, ours int
	// values are the values of series without labels.
	values map[string]float64
	// queued is how many accounts wait to be worked on.
	queued float64
}

// scrape reads the metrics as Prometheus does.
func (o *operator) scrape(ctx context.Context) (scraped, error) {
	s := scraped{values: map[string]float64{}}
	began := time.Now()
	text, err := get(ctx, http.DefaultClient, o.metricsURL)
	s.took = time.Since(began)
	if err != nil {
		return s, err
	}
	for line := range bytes.Lines(text) {
		s.read(strings.TrimSpace(string(line)))
	}
	return s, nil
}

// get reads a page of metrics.
func get(ctx context.Context, from *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := from.Do(request)
	if err != nil {
		return nil, fmt.Errorf("scraping: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(response.Status))
	}
	if err != nil {
		return nil, fmt.Errorf("scraping: %w", err)
	}
	return text, nil
}

// sumOf adds up the series of a page that have a name and all of these labels.
func sumOf(page []byte, name string, labels ...string) (sum float64, err error) {
	for line := range bytes.Lines(page) {
		series, value, _ := strings.Cut(strings.TrimSpace(string(line)), "} ")
		if !strings.HasPrefix(series, name+"{") || slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(series, label) }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

// read takes one line of the text format.
func (s *scraped) read(line string) {
	at := strings.LastIndexByte(line, ' ')
	if line == "" || line[0] == '#' || at < 0 {
		return
	}
	s.series++
	name := line[:at]
	if strings.HasPrefix(name, "tokenkeeper_") {
		s.ours++
		return
	}
	value, err := strconv.ParseFloat(line[at+1:], 64)
	switch {
	case err != nil:
	case strings.HasPrefix(name, "workqueue_depth{"):
		s.queued += value
	case !strings.Contains(name, "{"):
		s.values[name] = value
	}
}

// idle waits until no account has waited to be worked on for a second.
func (b *bench) idle(ctx context.Context, patience time.Duration) error {
	quiet := 0
	return until(ctx, patience, func(ctx context.Context) (bool, error) {
		s, err := b.operator.scrape(ctx)
		quiet++
		if err != nil || s.queued > 0 {
			quiet = 0
		}
		return quiet > 10, b.operator.alive()
	})
}

// measureScrape is how long a scrape takes, and what it brings. The operator rests after each, so the next one is not asked for before that.
func (b *bench) measureScrape(ctx context.Context, accounts int) ([]figure, error) {
	var took []time.Duration
	var last scraped
	for range 5 {
		var err error
		if last, err = b.operator.scrape(ctx); err != nil {
			return nil, err
		}
		took = append(took, last.took)
		if err := pause(ctx, bounds.LongestMetricsRest); err != nil {
			return nil, err
		}
	}
	return []figure{
		figure{benchmark: scrape, name: "time, median of five", value: percentile(took, 0.5), unit: "s"}.atMost(0.5),
		figure{benchmark: scrape, name: "series for each account", value: float64(last.ours) / float64(accounts), unit: "series"}.atMost(15),
		{benchmark: scrape, name: "series in all", value: float64(last.series), unit: "series"},
	}, nil
}
