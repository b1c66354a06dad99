package portal

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// handler answers a request, or returns why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

// page answers GET and HEAD by one handler and POST by another; a method whose handler is nil is not allowed.
func (p *Portal) page(get, post handler) http.Handler {
	var allowed []string
	if get != nil {
		allowed = append(allowed, http.MethodGet, http.MethodHead)
	}
	if post != nil {
		allowed = append(allowed, http.MethodPost)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeouts.Page)
		defer cancel()
		r = r.WithContext(ctx)
		var answer handler
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			answer = get
		case http.MethodPost:
			answer = post
		}
		var err error
		if answer == nil {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			err = &signin.Error{Problem: problemMethod}
		} else {
			err = answer(w, r)
		}
		if err != nil {
			p.fail(w, r, err)
		}
	})
}

// notHead refuses HEAD to a page that is shown once, or uses a code once: both are kept for the browser that shows the page.
func notHead(get handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodHead {
			w.Header().Set("Allow", http.MethodGet)
			return &signin.Error{Problem: problemMethod}
		}
		return get(w, r)
	}
}

// alive answers probes.
func alive(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}

func nowhere(http.ResponseWriter, *http.Request) error {
	return &signin.Error{Problem: problemNotFound}
}
