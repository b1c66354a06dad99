package demomarket

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server hosts platforms, each below /<name>/ with the real platform's paths. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	latency time.Duration
	keys    *keys
	secrets *secretLog
	load    gauge
	markets map[string]*Market
	names   []string
	control http.Handler // nil when not wanted

	mu   sync.Mutex // guards base and the reads of rand
	base string
	rand io.Reader
}

// New returns a server of the given platforms, or of [Platforms] when none is given. Of two platforms with one name
// the later counts.
func New(options Options, platforms ...Platform) *Server {
	if len(platforms) == 0 {
		platforms = Platforms()
	}
	s := &Server{
		now:     options.Now,
		rand:    options.Rand,
		latency: options.Latency,
		base:    strings.TrimSuffix(options.BaseURL, "/"),
		keys:    newKeys(options.Key),
		secrets: newSecretLog(options.SecretLog),
		markets: make(map[string]*Market, len(platforms)),
	}
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // the default of a program that is given no clock
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	for _, platform := range platforms {
		s.markets[platform.Name] = newMarket(s, platform, options)
		if !slices.Contains(s.names, platform.Name) {
			s.names = append(s.names, platform.Name)
		}
	}
	if options.Control {
		s.control = newControl(s)
	}
	return s
}

// Platform returns the running platform of that name, nil when the server has none.
func (s *Server) Platform(name string) *Market { return s.markets[name] }

// Names returns the names of the platforms in the order in which they were given.
func (s *Server) Names() []string { return slices.Clone(s.names) }

// SetBaseURL tells the server its own address, which is known only once something listens there.
func (s *Server) SetBaseURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = strings.TrimSuffix(url, "/")
}

// ServeHTTP hands the request to the platform that its path begins with.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if s.control != nil && name == controlName {
		s.control.ServeHTTP(w, r)
		return
	}
	market := s.markets[name]
	if market == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Date", market.date()) // the market's clock, which tests step
	market.routes.ServeHTTP(w, r)
}

// baseURL is the address of the server as the client of r knows it.
func (s *Server) baseURL(r *http.Request) string {
	s.mu.Lock()
	base := s.base
	s.mu.Unlock()
	if base != "" {
		return base
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// random returns a value of 256 random bits. Its alphabet holds characters that must be escaped in a form, so that a
// client which forgets to is found out.
func (s *Server) random() (string, error) {
	bits, err := s.randomBits()
	return base64.StdEncoding.EncodeToString(bits[:]), err
}

// randomBits returns 256 of them.
func (s *Server) randomBits() ([32]byte, error) {
	var bits [32]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.ReadFull(s.rand, bits[:]); err != nil {
		return bits, fmt.Errorf("reading random bits: %w", err)
	}
	return bits, nil
}
