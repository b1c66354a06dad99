package browser_test

import (
	"fmt"
	"net/http"
	"testing"
)

func TestSettingsOfAWindow(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><body>%s`, r.Header.Get("Accept-Language"))
	}))
	anna, ben := chromium.Window(t), chromium.Window(t)
	anna.Speak("de-AT,de;q=0.9")
	anna.Resize(390, 844)
	anna.Open(url)
	anna.WantText("de-AT,de;q=0.9")
	if got := anna.Evaluate("`${innerWidth} ${innerHeight}`"); got != "390 844" {
		t.Errorf("the page is %s", got)
	}
	ben.Open(url)
	ben.WantText("en-US")
}
