package openid_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// start is when every test begins.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return start }

const (
	clientID = "my-client"
	username = "seller@example.com"
)

// failure is the *answer.Error that err must be.
func failure(t *testing.T, err error) *answer.Error {
	t.Helper()
	var failed *answer.Error
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %T (%v), want a *answer.Error", err, err)
	}
	return failed
}

func jwtOf(t *testing.T, algorithm string, claims map[string]any) string {
	t.Helper()
	parts := make([]string, 0, 3)
	for _, part := range []any{map[string]any{"alg": algorithm, "typ": "JWT"}, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	parts = append(parts, base64.RawURLEncoding.EncodeToString([]byte("no signature")))
	return strings.Join(parts, ".")
}

// object is a JSON object as text.
func object(t *testing.T, members map[string]any) string {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hijack takes the connection away from the server.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, buffer
}

// hangUp closes the connection instead of an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _ := hijack(w)
	_ = conn.Close()
}

// breakOff sends half an answer.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	conn, buffer := hijack(w)
	_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n" + `{"issuer":`)
	_ = buffer.Flush()
	_ = conn.Close()
}

// leaked returns a piece of a secret that text holds, as it stands or after what a reader of URLs would do to it.
func leaked(text, secret string) string {
	readings := []string{text, html.UnescapeString(text)}
	for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if decoded, err := decode(text); err == nil {
			readings = append(readings, decoded)
		}
	}
	for _, reading := range readings {
		for i := 0; i+5 <= len(secret); i++ {
			if piece := secret[i : i+5]; strings.Contains(reading, piece) {
				return piece
			}
		}
	}
	return ""
}
