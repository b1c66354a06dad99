package recorded

import (
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// Options are the parts of a server.
type Options struct {
	// Exchanges has a folder for each platform.
	Exchanges fs.FS
	// Except are platforms that another server acts as.
	Except []string
	// ClientID and ClientSecret are the credentials of the one application that there is.
	ClientID, ClientSecret string
	// Portal is where browsers are sent back to by platforms that are not told so in the authorization request.
	Portal string
	// Now is the clock, and Text draws the ending that makes a token another one.
	Now  func() time.Time
	Text func() string
}

// Server acts as platforms, each below /<name>/ with the real platform's paths. It is safe for concurrent use.
type Server struct {
	platforms map[string]*platform
}

// New returns a server of all platforms of which there are exchanges.
func New(o Options) (*Server, error) {
	folders, err := fs.ReadDir(o.Exchanges, ".")
	if err != nil {
		return nil, fmt.Errorf("reading exchanges: %w", err)
	}
	s := &Server{platforms: map[string]*platform{}}
	for _, folder := range folders {
		name := folder.Name()
		if !folder.IsDir() || slices.Contains(o.Except, name) {
			continue
		}
		within, err := fs.Sub(o.Exchanges, name)
		if err != nil {
			return nil, fmt.Errorf("reading exchanges: %w", err)
		}
		if s.platforms[name], err = newPlatform(name, within, &o); err != nil {
			return nil, fmt.Errorf("reading exchanges of %s: %w", name, err)
		}
	}
	return s, nil
}

// Names are the platforms, sorted.
func (s *Server) Names() []string {
	names := make([]string, 0, len(s.platforms))
	for name := range s.platforms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Serves tells whether a path belongs to one of the platforms.
func (s *Server) Serves(path string) bool { return s.platforms[platformOf(path)] != nil }

// ServeHTTP hands the request to the platform that its path begins with.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	platform := s.platforms[platformOf(r.URL.Path)]
	if platform == nil {
		http.NotFound(w, r)
		return
	}
	platform.ServeHTTP(w, r)
}

func platformOf(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}

// step is a step of an exchange that a request can fit.
type step struct {
	file   string
	at, of int           // the step's index, and how many there are
	after  time.Duration // since the exchange began
	ask    exchange.Ask
	before string // the refresh token at hand before the step
	code   string // the code that a browser brought before it
	result result
	exchange.Step
}
