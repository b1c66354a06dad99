// Package wholebody lets a reverse proxy pass requests with bodies on without a race of net/http's.
package wholebody

import (
	"bytes"
	"io"
	"net/http"
)

// First is a handler that reads the body of a request before next, a httputil.ReverseProxy, passes it on.
//
// A body that is still being read may be closed under the proxy: the answer begins to be written to the client, with which the
// server closes the body; the transport, which looks whether more comes than was announced, fails and closes the connection to
// the backend; and the client sees an unexpected EOF (https://go.dev/issue/40747).
func First(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		r.Body = http.NoBody
		if len(body) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}
