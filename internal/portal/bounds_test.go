package portal

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestTheCookiesOfABrowserFitIntoAHeader(t *testing.T) {
	p := &Portal{clock: clocktesting.NewFakePassiveClock(time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC))}
	held := map[string]string{visitor.SessionCookie: strings.Repeat("t", visitor.MaxToken)}
	browse := func(answer func(w http.ResponseWriter, r *http.Request)) {
		request, recorder := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		for _, prefix := range []string{visitor.SessionCookie, signin.CookiePrefix, resultCookie} {
			for i := range 100 { // the oldest first
				for name, value := range held {
					if strings.HasPrefix(name, prefix) && (strings.HasSuffix(name, fmt.Sprintf("-%016d", i)) || prefix == visitor.SessionCookie && i == 0) {
						request.AddCookie(&http.Cookie{Name: name, Value: value})
					}
				}
			}
		}
		answer(recorder, request)
		for _, cookie := range recorder.Result().Cookies() {
			if held[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
				delete(held, cookie.Name)
			}
		}
	}
	for i := range 50 {
		browse(func(w http.ResponseWriter, r *http.Request) {
			p.forgetOldest(w, r, signin.CookiePrefix, maxVisitCookies-1)
			p.setCookie(w, fmt.Sprintf("%s%016d", signin.CookiePrefix, i), strings.Repeat("n", 63+1+253+1+43), signin.VisitLife)
		})
		browse(func(w http.ResponseWriter, r *http.Request) {
			p.forgetOldest(w, r, resultCookie, maxResultCookies-1)
			p.setCookie(w, fmt.Sprintf("%s%016d", resultCookie, i), strings.Repeat("r", maxResult), resultLife)
		})
	}
	size := 0
	for name, value := range held {
		size += len(name) + len("=; ") + len(value)
	}
	if size > bounds.HeaderBytes-800 || len(held) != 1+maxVisitCookies+maxResultCookies {
		t.Errorf("%d cookies take %d bytes", len(held), size)
	}
}
