package browser_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

func TestWithoutChromium(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := browser.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("err = %v, want one that says how to get Chromium", err)
	}
}

func TestAChromiumThatDoesNotStart(t *testing.T) {
	folder := t.TempDir()
	script := []byte("#!/bin/sh\necho 'a library is missing' >&2\nexit 1\n")
	if err := os.WriteFile(filepath.Join(folder, "chromium"), script, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	if _, err := browser.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "a library is missing") {
		t.Errorf("err = %v, want one that says what Chromium said", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	pictures, rest := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", rest)
	t.Setenv(browser.ScreenshotsVariable, pictures)
	second, err := browser.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a screenshot", func(t *testing.T) {
		anna := second.Window(t)
		anna.Open(serve(t, page(`<body>Hello`)))
		anna.Screenshot("hello")
	})
	picture, err := os.ReadFile(filepath.Join(pictures, "TestNothingIsLeftBehind-a_screenshot-hello.png"))
	if err != nil || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("the screenshot is %.8q, %v", picture, err)
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(rest)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind are %v, %v", left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		if line, _ := os.ReadFile(process); bytes.Contains(line, []byte(rest)) {
			t.Errorf("left behind is the process %q", line)
		}
	}
}

func TestScreenshotsNeedAnAbsolutePath(t *testing.T) {
	t.Setenv(browser.ScreenshotsVariable, "shots")
	if _, err := browser.Start(t.Context()); err == nil {
		t.Error("screenshots go to the folder of a package")
	}
}

// page is a site with one page.
func page(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,">`+body)
	})
}

func TestFillingInAndPressing(t *testing.T) {
	pages := http.NewServeMux()
	pages.Handle("GET /{$}", page(`<body data-page="form"><form method="post" action="/sent">
		<label for="name">Name: "yours"</label><input id="name" name="n" value="of another">
		<button name="b" value="1"> Send  it </button></form><a href="/elsewhere">Don't</a>`))
	pages.HandleFunc("POST /sent", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, `<body data-page="sent">%s %s`, r.PostFormValue("n"), r.PostFormValue("b"))
	})
	pages.Handle("GET /elsewhere", page(`<body>Elsewhere`))
	url := serve(t, pages)
	anna := chromium.Window(t)
	anna.Open(url)
	anna.WantPage("form")
	anna.Fill(`Name: "yours"`, "Anna")
	anna.Press("Send it")
	anna.WantPage("sent")
	anna.WantText("Anna 1")
	if anna.Status() != http.StatusTeapot || anna.URL().Path != "/sent" {
		t.Errorf("the window shows %s (%d)", anna.URL(), anna.Status())
	}
	anna.Open(url)
	if got := anna.Link("Don't"); got != url+"/elsewhere" {
		t.Errorf("the link leads to %s", got)
	}
	anna.Press("Don't")
	anna.WantPage("")
	anna.WantText("Elsewhere")
}

// TestNobodyAtHome ends where nobody listens, as sign-ins without a portal do.
func TestNobodyAtHome(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	away := http.RedirectHandler(gone.URL+"/callback?code=1", http.StatusSeeOther)
	url := serve(t, away)
	anna := chromium.Window(t)
	anna.Open(url)
	if got := anna.URL().String(); got != gone.URL+"/callback?code=1" || anna.Status() != 0 {
		t.Errorf("the window shows %s (%d)", got, anna.Status())
	}
	anna.Open(serve(t, page(`<body>At home`)))
	anna.WantText("At home")
}

// TestAPageThatGoesOnByItself does so at once; one that shows itself anew now and then does not.
func TestAPageThatGoesOnByItself(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	pages := http.NewServeMux()
	pages.Handle("GET /first", page(`<meta http-equiv="refresh" content="0; url=/second"><body>First`))
	pages.Handle("GET /second", page(`<meta http-equiv="refresh" content="0; url=/third"><body>Second`))
	pages.Handle("GET /third", page(`<meta http-equiv="refresh" content="30"><body>Third`))
	pages.Handle("GET /away", page(`<meta http-equiv="refresh" content="0; url=`+gone.URL+`/callback"><body>Away`))
	url := serve(t, pages)
	anna := chromium.Window(t)
	anna.Open(url + "/first")
	anna.WantText("Third")
	anna.Open(url + "/away")
	if got := anna.URL().String(); got != gone.URL+"/callback" || anna.Status() != 0 {
		t.Errorf("the window shows %s (%d)", got, anna.Status())
	}
}

// failing is a test that is expected to fail.
type failing struct {
	testing.TB
	said string
	done []func()
}

func (f *failing) Cleanup(done func())               { f.done = append([]func(){done}, f.done...) }
func (f *failing) Errorf(format string, args ...any) { f.said += fmt.Sprintf(format, args...) }
func (f *failing) Failed() bool                      { return f.said != "" }
func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func TestWhatFailsATest(t *testing.T) {
	styled := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		page(`<style>body { color: red }</style><body data-page="styled">Hello`).ServeHTTP(w, r)
	})
	tests := map[string]struct {
		does func(anna *browser.Window)
		says string
	}{
		"another page":      {func(anna *browser.Window) { anna.WantPage("login") }, `the page is "styled", want "login"`},
		"another text":      {func(anna *browser.Window) { anna.WantText("Goodbye") }, `the page lacks "Goodbye"`},
		"the wrong button":  {func(anna *browser.Window) { anna.Allow() }, `want "consent"`},
		"a forbidden style": {func(*browser.Window) {}, "Content Security Policy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			expected := &failing{TB: t}
			anna := chromium.Window(expected)
			anna.Open(serve(t, styled))
			var ended sync.WaitGroup
			ended.Go(func() { test.does(anna) })
			ended.Wait()
			for _, done := range expected.done {
				done()
			}
			if !strings.Contains(expected.said, test.says) {
				t.Errorf("the test says %q, want %q", expected.said, test.says)
			}
		})
	}
}
