package metrics_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
)

// slow counts how often it is gathered, each of which takes a second.
type slow struct {
	mu                 sync.Mutex
	times, now, atOnce int
	err                error
}

func (s *slow) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	s.times++
	s.now++
	s.atOnce = max(s.atOnce, s.now)
	times := s.times
	s.mu.Unlock()
	<-time.After(time.Second)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gathered", Help: "How often."})
	gauge.Set(float64(times))
	registry.MustRegister(gauge)
	families, err := registry.Gather()
	return families, errors.Join(s.err, err)
}

// rested waits until nothing goes on behind a page.
func rested() {
	<-time.After(time.Second + bounds.LongestMetricsRest)
	synctest.Wait()
}

// scrapeOf reads a page.
func scrapeOf(page http.Handler, method, accepted string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "/metrics", nil)
	if accepted != "" {
		request.Header.Set("Accept-Encoding", accepted)
	}
	recorder := httptest.NewRecorder()
	page.ServeHTTP(recorder, request)
	return recorder
}

func TestManyScrapesAreGatheredTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer rested()
		gatherer := &slow{}
		page := metrics.NewPage(gatherer, time.Now)
		var scrapes sync.WaitGroup
		for range 10 {
			for range 100 {
				scrapes.Go(func() {
					if got := scrapeOf(page, http.MethodGet, ""); !strings.Contains(got.Body.String(), "\ngathered ") {
						t.Errorf("it reads %q", got.Body)
					}
				})
			}
			<-time.After(time.Second)
		}
		scrapes.Wait()
		if gatherer.atOnce != 1 {
			t.Errorf("%d were gathered at once", gatherer.atOnce)
		}
		if gatherer.times > 5 { // one in four seconds
			t.Errorf("it was gathered %d times in ten seconds", gatherer.times)
		}
	})
}

func TestAScrapeShowsWhatIsTrueWhenItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer rested()
		page := metrics.NewPage(&slow{}, time.Now)
		for i := range 3 {
			begun := time.Now()
			got := scrapeOf(page, http.MethodGet, "").Body.String()
			if want := fmt.Sprintf("\ngathered %d\n", i+1); !strings.Contains(got, want) {
				t.Errorf("it reads %q, want %q", got, want)
			}
			if took := time.Since(begun); took > time.Second+bounds.LongestMetricsRest {
				t.Errorf("it took %s", took)
			}
		}
	})
}

func TestAClockThatIsSetBackDoesNotStopTheMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer rested()
		ahead := time.Duration(0)
		page := metrics.NewPage(&slow{}, func() time.Time { ahead -= time.Hour; return time.Now().Add(ahead) })
		for range 3 {
			scrapeOf(page, http.MethodGet, "")
		}
	})
}

func TestHowThePageIsServed(t *testing.T) {
	const plain = "# HELP gathered How often.\n# TYPE gathered gauge\ngathered 1\n"
	for name, test := range map[string]struct {
		method, accepted, encoding string
		status                     int
		err                        error
		body                       string
	}{
		"plain":                        {method: http.MethodGet, status: http.StatusOK, body: plain},
		"compressed":                   {method: http.MethodGet, accepted: "deflate, gzip;q=0.5", encoding: "gzip", status: http.StatusOK, body: plain},
		"a reader that refuses gzip":   {method: http.MethodGet, accepted: "gzip;q=0", status: http.StatusOK, body: plain},
		"another method":               {method: http.MethodPost, status: http.StatusMethodNotAllowed, body: "the metrics are read with GET\n"},
		"a collector that cannot be":   {method: http.MethodGet, err: errors.New("no cache"), status: http.StatusInternalServerError, body: "the metrics cannot be gathered: no cache\n"},
		"only whether there is a page": {method: http.MethodHead, status: http.StatusOK, body: plain}, // which net/http does not send
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer rested()
				got := scrapeOf(metrics.NewPage(&slow{err: test.err}, time.Now), test.method, test.accepted)
				var body io.Reader = got.Body
				if encoding := got.Header().Get("Content-Encoding"); encoding != test.encoding {
					t.Errorf("its encoding is %q", encoding)
				} else if encoding == "gzip" {
					var err error
					if body, err = gzip.NewReader(got.Body); err != nil {
						t.Fatal(err)
					}
				}
				text, err := io.ReadAll(body)
				if got.Code != test.status || string(text) != test.body || err != nil {
					t.Errorf("it is %d %q, %v", got.Code, text, err)
				}
				if want := "text/plain; version=0.0.4; charset=utf-8"; test.status == http.StatusOK && got.Header().Get("Content-Type") != want {
					t.Errorf("it is of type %q", got.Header().Get("Content-Type"))
				}
			})
		})
	}
}
