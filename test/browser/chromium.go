// Package browser lets tests look at pages with a real browser: one headless Chromium for a test binary, with windows
// that know nothing of each other. Two people who sign in at the same time are two windows; a stale browser is one window
// that is used again.
//
// A test binary starts Chromium in TestMain, and a test says what a person does at a window:
//
//	var chromium *browser.Chromium
//
//	func TestMain(m *testing.M) {
//		var err error
//		if chromium, err = browser.Start(context.Background()); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//		code := m.Run()
//		chromium.Stop()
//		os.Exit(code)
//	}
//
//	func TestSigningIn(t *testing.T) {
//		anna := chromium.Window(t)
//		anna.Open(link)
//		anna.LogIn(demomarket.DefaultUser, demomarket.DefaultPassword)
//		anna.Allow()
//		anna.WantText("Authenticated")
//	}
//
// A step that leads to another page returns when that page is loaded. Where that does not happen, or a page is not the one that the test
// takes it for, the test fails at once and says what the window shows. Nothing is ever waited for by sleeping.
//
// Chromium reaches this machine alone. It takes http://127.0.0.1 and http://localhost for two sites, and both for as secure
// as https, so that a test has all the rules about cookies and sites without certificates: see [Localhost].
//
// With the environment variable TOKENKEEPER_SCREENSHOTS, an absolute path, [Window.Screenshot] writes pictures there, and
// so does a window whose test fails.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is how long Chromium may take to start, to show a page, or to find a button on it: far more than it needs, for
// machines that do much else at the same time.
const patience = 30 * time.Second

// ScreenshotsVariable is the environment variable that says where screenshots go.
const ScreenshotsVariable = "TOKENKEEPER_SCREENSHOTS"

// Chromium is a browser that runs. It is safe for concurrent use.
type Chromium struct {
	ctx         context.Context // its life
	end         func()          // of that
	home        string          // where it keeps files outside of its profile
	screenshots string          // a folder; empty for none
}

// Start starts Chromium, as chromium, chromium-browser or google-chrome. It ends with Stop, with ctx, and with the program.
func Start(ctx context.Context) (*Chromium, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	c := &Chromium{screenshots: os.Getenv(ScreenshotsVariable)}
	if c.screenshots != "" && !filepath.IsAbs(c.screenshots) {
		return nil, fmt.Errorf("%s must be an absolute path, since tests run in the folders of their packages", ScreenshotsVariable)
	}
	if c.home, err = os.MkdirTemp("", "tokenkeeper-chromium-"); err != nil {
		return nil, fmt.Errorf("making a home for Chromium: %w", err)
	}
	ctx, wait := chromedp.NewExecAllocator(ctx, flags(path, c.home)...)
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // every error is returned, too
	c.ctx, c.end = ctx, func() { cancel(); wait() }
	tooLate := time.AfterFunc(patience, cancel) // a deadline of ctx would end Chromium even when it is up
	defer tooLate.Stop()
	if err := chromedp.Do(ctx); err != nil {
		c.end()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", path, err), os.RemoveAll(c.home))
	}
	return c, nil
}

// find returns the path of Chromium.
func find() (string, error) {
	programs := []string{"chromium", "chromium-browser", "google-chrome"}
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s is in PATH: install Chromium, on Debian: apt-get install chromium", strings.Join(programs, ", "))
}

// idle is the work of Chromium that no test looks at, and that takes half of its processor time: for each window pages of its own under the address bar, and for
// each site a process and one to spare. Which cookies are sent where, and what a page may do to another, are the same in one process.
var idle = []string{
	"Translate", "BlinkGenPropertyTrees", // as chromedp has it
	"WebUIOmniboxPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxAimPopup",
	"SpareRendererForSitePerProcess", "IsolateOrigins", "site-per-process",
}

// flags are the arguments that Chromium is started with. Its profile is in a folder of its own, which goes with it, and as root it
// has no sandbox, without which it would not start; chromedp sees to both.
func flags(path, home string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Env("HOME="+home),
		chromedp.WindowSize(480, 800),
		chromedp.Flag("disable-features", strings.Join(idle, ",")),
		chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
	)
}

// Stop ends Chromium and leaves nothing of it behind.
func (c *Chromium) Stop() error {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	err := chromedp.Cancel(ctx) // asks it to close, since it leaves files behind when it is killed
	c.end()
	if err = errors.Join(err, os.RemoveAll(c.home)); err != nil {
		return fmt.Errorf("stopping Chromium: %w", err)
	}
	return nil
}

// Localhost is an address on 127.0.0.1 under the name of localhost. The same server answers, but it is another site for a
// browser, as a portal and a marketplace are: it decides by that which cookies it sends along.
func Localhost(address string) string {
	return strings.Replace(address, "//127.0.0.1", "//localhost", 1)
}
