package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"
)

// Screenshot writes a picture of the whole page to <test>-<name>.png in the folder that [ScreenshotsVariable] says. It
// does nothing without one.
func (w *Window) Screenshot(name string) {
	w.t.Helper()
	if w.chromium.screenshots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		w.t.Errorf("taking a screenshot: %v", err)
		return
	}
	file := strings.ReplaceAll(w.t.Name()+"-"+name+".png", "/", "-")
	if err := os.MkdirAll(w.chromium.screenshots, 0o750); err != nil {
		w.t.Errorf("making the folder for screenshots: %v", err)
	}
	if err := os.WriteFile(filepath.Join(w.chromium.screenshots, file), picture, 0o600); err != nil {
		w.t.Errorf("writing a screenshot: %v", err)
	}
}
