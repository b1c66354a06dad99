package outgoing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// server is a host of this machine that counts the requests it gets.
func server(t *testing.T, answer http.HandlerFunc) (address string, served *int) {
	t.Helper()
	served = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*served++
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, served
}

// get asks for an address.
func get(t *testing.T, client *http.Client, address string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere, reached := server(t, func(http.ResponseWriter, *http.Request) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		address, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		response, err := get(t, outgoing.NewClient(outgoing.NewTransport(), time.Minute), address)
		if err != nil || response.StatusCode != status {
			t.Errorf("%d: got %v and error %v, want the redirect itself", status, response, err)
		}
	}
	if *reached > 0 {
		t.Errorf("%d redirects were followed", *reached)
	}
}

// TestNothingLeavesWithoutTLS also where nothing checked the address before.
func TestNothingLeavesWithoutTLS(t *testing.T) {
	asked := 0
	client := outgoing.NewClient(roundTripper(func(*http.Request) (*http.Response, error) {
		asked++
		return nil, http.ErrServerClosed
	}), time.Minute)
	for _, address := range []string{
		"http://login.example.com/token?client_secret=s3cr3t", "ftp://login.example.com/", "http://user@127.0.0.1/", "https:///token",
	} {
		_, err := get(t, client, address)
		if err == nil || !strings.Contains(err.Error(), "must be https") {
			t.Errorf("%s: the error is %v", address, err)
		}
	}
	if asked > 0 {
		t.Errorf("%d requests left", asked)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestHeadersOfAnAnswerAreBounded(t *testing.T) {
	address, _ := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 80<<10)) })
	if _, err := get(t, outgoing.NewClient(outgoing.NewTransport(), time.Minute), address); err == nil {
		t.Error("80 KiB of headers are read")
	}
}

// TestAnAnswerThatTricklesInEndsWithTheTimeout bounds the body as well as the wait for its beginning.
func TestAnAnswerThatTricklesInEndsWithTheTimeout(t *testing.T) {
	done := make(chan struct{})
	address, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	defer close(done)
	response, err := get(t, outgoing.NewClient(outgoing.NewTransport(), 200*time.Millisecond), address)
	if err != nil {
		t.Fatal(err)
	}
	var buffer [16]byte
	for err == nil {
		_, err = response.Body.Read(buffer[:])
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading ended with %v", err)
	}
}

func TestRedirectTarget(t *testing.T) {
	tests := map[string]struct {
		status         int
		location, want string
	}{
		"another host":                 {301, "https://auth.example.com/oauth/token?code=s3cr3t", "auth.example.com/oauth/token"},
		"a path":                       {308, "/v2/token", "login.example.com/v2/token"},
		"without a scheme":             {302, "//auth.example.com/token", "auth.example.com/token"},
		"user information, a fragment": {302, "https://user:s3cr3t@auth.example.com/token#s3cr3t", "auth.example.com/token"},
		"a part as long as a token":    {307, "https://auth.example.com/r/abcdefghijklmnopqrstuvwxyz0123456789/x", "auth.example.com/r/…/x"},
		"nowhere":                      {302, "", ""},
		"no address":                   {302, "https://[auth", ""},
		"what cannot be shown":         {302, "https://auth.example.com/%E2%80%AE", "auth.example.com/%E2%80%AE"},
		"too long to be shown":         {302, "https://auth.example.com/" + strings.Repeat("a/", 200), ""},
		"an answer that is none":       {200, "https://auth.example.com/", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example.com/token", nil)
			response := &http.Response{StatusCode: test.status, Header: http.Header{"Location": {test.location}}, Request: request}
			if got := outgoing.RedirectTarget(response); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
