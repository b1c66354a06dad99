package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestFailFastAsksAHostThatDoesNotAnswerNowAndThen(t *testing.T) {
	now := start
	away := map[string]bool{}
	asked := 0
	failFast := throttle.NewFailFast(roundTripper(func(request *http.Request) (*http.Response, error) {
		asked++
		if away[request.URL.Host] {
			return nil, errors.New("no route")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: request}, nil
	}), func() time.Time { return now })
	client := &http.Client{Transport: failFast}
	ask := func(host string, wantAsked int, wantOK bool) {
		t.Helper()
		asked = 0
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+host+"/keys", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if asked != wantAsked || (err == nil) != wantOK {
			t.Fatalf("%s was asked %d times, want %d; error %v", host, asked, wantAsked, err)
		}
	}
	ask("a", 1, true)
	away["a"] = true
	ask("a", 1, false)
	for range 100 {
		ask("a", 0, false)
		ask("b", 1, true)
	}
	now = now.Add(10 * time.Second)
	ask("a", 1, false)
	ask("a", 0, false)
	away["a"] = false
	now = now.Add(10 * time.Second)
	ask("a", 1, true)
	ask("a", 1, true)
	for i := range 300 {
		host := fmt.Sprint("dead-", i)
		away[host] = true
		ask(host, 1, false)
		now = now.Add(time.Minute)
	}
	if n := failFast.Len(); n > 64 {
		t.Errorf("%d hosts are remembered that nobody asks any more", n)
	}
}
