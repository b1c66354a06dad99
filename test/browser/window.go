package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Window is a window of a browser that was never used before, with cookies of its own, and a person before it. Its methods
// fail the test that it was opened for.
type Window struct {
	t        testing.TB
	chromium *Chromium
	ctx      context.Context // the tab's

	mu         sync.Mutex    // guards the fields that Chromium's events change
	address    string        // of the last document that it asked for
	status     int           // of the answer; 0 without one
	loaded     chan struct{} // is closed when the next page is loaded
	complaints []string
}

// Window opens a window, until the test ends. A page that does what its own security policy forbids fails the test.
func (c *Chromium) Window(t testing.TB) *Window {
	t.Helper()
	return c.open(c.ctx, t, chromedp.WithNewBrowserContext())
}

// Tab opens a second tab in a window, with the same cookies.
func (w *Window) Tab() *Window {
	w.t.Helper()
	return w.chromium.open(w.ctx, w.t)
}

// open opens a tab.
func (c *Chromium) open(ctx context.Context, t testing.TB, options ...chromedp.ContextOption) *Window {
	t.Helper()
	w := &Window{t: t, chromium: c, loaded: make(chan struct{})}
	ctx, closeTab := chromedp.NewContext(ctx, append(options, chromedp.WithListener(w.hear))...)
	t.Cleanup(closeTab)
	w.ctx = ctx
	tooLate := time.AfterFunc(patience, closeTab) // a deadline of ctx would close the tab even when it is there
	defer tooLate.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a window: %v", err)
	}
	t.Cleanup(w.leave)
	return w
}

// hear takes the events of Chromium.
func (w *Window) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		if event.Type == network.ResourceTypeDocument {
			w.address, w.status = event.Request.URL, 0
		}
	case *network.EventResponseReceived:
		if event.Type == network.ResourceTypeDocument {
			w.status = int(event.Response.Status)
		}
	case *page.EventLoadEventFired:
		close(w.loaded)
		w.loaded = make(chan struct{})
	case *log.EventEntryAdded:
		if event.Entry.Source == log.EntrySourceSecurity {
			w.complaints = append(w.complaints, event.Entry.Text)
		}
	}
}

// leave is the end of the test.
func (w *Window) leave() {
	w.mu.Lock()
	for _, complaint := range w.complaints {
		w.t.Errorf("Chromium complains: %s", complaint)
	}
	w.mu.Unlock()
	if w.t.Failed() {
		w.Screenshot("failed")
	}
}

// Open goes to an address.
func (w *Window) Open(address string) {
	w.t.Helper()
	w.follow("opening "+address, chromedp.Navigate(address))
}

// Press presses the button or the link with this text, and waits for the page to which it leads.
func (w *Window) Press(text string) {
	w.t.Helper()
	w.press(text, labelled("button, a", text))
}

// Link is the address to which the link with this text leads, for one that opens a tab of its own.
func (w *Window) Link(text string) string {
	w.t.Helper()
	address := w.read("(" + string(labelled("a", text)) + `)[0]?.href ?? ""`)
	if address == "" {
		w.t.Fatalf("there is no link %q; %s", text, w.shown())
	}
	return address
}

// Fill writes into the field with this label, in place of its present content.
func (w *Window) Fill(label, text string) {
	w.t.Helper()
	w.fill(label, labelled("label", label)+".map(e => e.control)", text)
}

// URL is the content of the address bar.
func (w *Window) URL() *url.URL {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	address, err := url.Parse(w.address)
	if err != nil {
		w.t.Fatalf("reading the address: %v", err)
	}
	return address
}

// Status is the HTTP status of the page, 0 where no server answered.
func (w *Window) Status() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Page is which page it is, as its body says in data-page; empty where it does not.
func (w *Window) Page() string {
	w.t.Helper()
	return w.read(`document.body?.dataset.page ?? ""`)
}

// Text is the visible text of the page.
func (w *Window) Text() string {
	w.t.Helper()
	return w.read(`document.body?.innerText ?? ""`)
}

// WantPage fails the test when it is another page.
func (w *Window) WantPage(want string) {
	w.t.Helper()
	if got := w.Page(); got != want {
		w.t.Fatalf("the page is %q, want %q; %s", got, want, w.shown())
	}
}

// WantText fails the test when the text cannot be read on the page.
func (w *Window) WantText(want string) {
	w.t.Helper()
	if !strings.Contains(w.Text(), want) {
		w.t.Fatalf("the page lacks %q; %s", want, w.shown())
	}
}

// Evaluate returns what an expression of JavaScript says on the page, as the browser's developer tools do: the page's own
// security policy does not hold there. The expression must be a string.
func (w *Window) Evaluate(expression string) string {
	w.t.Helper()
	return w.read(expression)
}

// shown is the visible content of the window, for a test that fails.
func (w *Window) shown() string {
	w.t.Helper()
	return fmt.Sprintf("the window shows %s (%d):\n%s", w.URL(), w.Status(), w.Text())
}

// read evaluates an expression on the page.
func (w *Window) read(expression string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		w.t.Fatalf("reading the page: %v", err)
	}
	return value
}

// fill pastes into a field.
func (w *Window) fill(name string, field chromedp.JSPath, text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	selected := chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`)
	pasted := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { // a key for each letter of a token takes seconds
		_, err := cdp.Call(ctx, tab, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.Focus(field), selected, pasted); err != nil {
		w.t.Fatalf("filling in %q: %v; %s", name, err, w.shown())
	}
}

// press presses a button.
func (w *Window) press(name string, button chromedp.JSPath) {
	w.t.Helper()
	w.follow(fmt.Sprintf("pressing %q", name), chromedp.Click(button))
}

// follow takes a step that leads to another page and waits until that is there, after all redirects. Where no server answers,
// Chromium shows a page that says so, as people see it when no server listens at a callback.
func (w *Window) follow(what string, step chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, step)
	if err == nil {
		err = w.followRedirects(ctx)
	}
	if err != nil && !errors.Is(err, chromedp.ErrPageLoad) {
		w.t.Fatalf("%s: %v; %s", what, err, w.shown())
	}
}

// followRedirects waits while a page goes on by itself at once, as one of the portal's does.
func (w *Window) followRedirects(ctx context.Context) error {
	for {
		w.mu.Lock()
		next := w.loaded
		w.mu.Unlock()
		// While a page makes way for the next there is none to ask, which is an error.
		settled, err := chromedp.Run(ctx, chromedp.Evaluate[bool](
			`document.readyState === "complete" && !document.querySelector('meta[http-equiv=refresh][content^="0;"]')`,
		))
		if err == nil && settled {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// labelled is the first element of some kinds with this text.
func labelled(kinds, text string) chromedp.JSPath {
	return chromedp.JSPath(fmt.Sprintf(
		`[...document.querySelectorAll(%s)].filter(e => e.innerText.trim() === %s).slice(0, 1)`, quoted(kinds), quoted(text),
	))
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	written, err := json.Marshal(text)
	if err != nil {
		panic(err) // every string can be written
	}
	return string(written)
}
