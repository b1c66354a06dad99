package wholebody_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/wholebody"
)

func TestFirst(t *testing.T) {
	for _, want := range []string{"", "next=elsewhere"} {
		sent := strings.NewReader(want)
		request := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(sent))
		request.ContentLength = int64(len(want))
		wholebody.First(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if sent.Len() != 0 {
				t.Errorf("%d bytes are not read when the request is passed on", sent.Len())
			}
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
				t.Errorf("passes %q on and %v, want %q", got, err, want)
			}
			if got := r.ContentLength; got != int64(len(want)) {
				t.Errorf("passes a length of %d on, want %d", got, len(want))
			}
		})).ServeHTTP(httptest.NewRecorder(), request)
	}
}
