package portal_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// unread is a browser that reads nothing until the test is over.
type unread struct {
	*httptest.ResponseRecorder
	began, over chan struct{}
}

func (s unread) Write(text []byte) (int, error) {
	s.began <- struct{}{}
	<-s.over
	return len(text), nil
}

// TestASlowReaderHasFewPages made, which are whole in memory until they are read; other visitors are served meanwhile.
func TestASlowReaderHasFewPages(t *testing.T) {
	w := newWorld(t, marketplace("allegro", "Allegro"), account("main"))
	slow, other := w.enter(clerkToken), w.enter(adminToken)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/", nil)
	for _, cookie := range slow.client.Jar.Cookies(request.URL) {
		request.AddCookie(cookie)
	}
	began, over := make(chan struct{}), make(chan struct{})
	var reading sync.WaitGroup
	for range 4 {
		reading.Go(func() { w.server.Config.Handler.ServeHTTP(unread{httptest.NewRecorder(), began, over}, request) })
		<-began
	}
	slow.get("/").expect(t, http.StatusServiceUnavailable, "Wait 5 seconds, and try again.")
	other.get("/").expect(t, http.StatusOK, "shop/main")
	close(over)
	reading.Wait()
	slow.get("/").expect(t, http.StatusOK, "shop/main")
}
