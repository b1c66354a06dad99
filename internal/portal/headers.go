package portal

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// contentPolicy allows the pages their one stylesheet, and forms to the portal, and nothing else. Browsers apply form-action to
// the redirects of a form too. So it names the portal's address, to which the buttons of a list at another host lead; and no
// form redirects to a marketplace: see leaving.
func contentPolicy(style string, address signin.Address) string {
	sum := sha256.Sum256([]byte(style))
	forms := strings.TrimSpace("'self' " + string(address))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
		"form-action " + forms + "; frame-ancestors 'none'; base-uri 'none'"
}

// guard sets the headers of every answer, and lets neither other origins, large bodies nor panics through.
func (p *Portal) guard(next http.Handler) http.Handler {
	// A page may be opened from anywhere, a form be sent from the portal's own pages alone. These pages have the policy
	// no-referrer, with which browsers send "Origin: null"; the header that counts is Sec-Fetch-Site.
	protection := http.NewCrossOriginProtection()
	if origin := string(p.address); origin != "" {
		// Behind a proxy that changes the Host.
		if err := protection.AddTrustedOrigin(origin); err != nil {
			p.log.Error(err, "The portal's address is no origin")
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fail(w, r, &signin.Error{Problem: problemForeign})
	}))
	guarded := protection.Handler(next)
	policy := contentPolicy(p.style, p.address)
	secure := strings.HasPrefix(string(p.address), "https:")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer") // the URLs hold tickets and codes
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		header.Set("X-Robots-Tag", "noindex")
		if secure {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer p.survive(w, r)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		guarded.ServeHTTP(w, r)
	})
}

// survive answers for a handler that panicked. The value of the panic is not logged: it may hold a secret.
func (p *Portal) survive(w http.ResponseWriter, r *http.Request) {
	switch cause := recover(); cause {
	case nil:
	case http.ErrAbortHandler:
		panic(cause)
	default:
		p.log.Error(errors.New("panic"), "A page failed", "stack", string(debug.Stack()))
		p.fail(w, r, &signin.Error{Problem: problemInternal})
	}
}
