package browser

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Resize gives the window's pages this size in CSS pixels, that of a phone or that of a screen on a desk.
func (w *Window) Resize(width, height int64) {
	w.t.Helper()
	w.set("resizing the window", chromedp.EmulateViewport(width, height))
}

// Speak says which languages the person reads, as Accept-Language does, from the next page on.
func (w *Window) Speak(languages string) {
	w.t.Helper()
	w.set("choosing a language", chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
			Headers: network.Headers{"Accept-Language": languages},
		})
		return err
	}))
}

// set changes the window and not its page.
func (w *Window) set(what string, step chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}
