package browser

import (
	"fmt"

	"github.com/chromedp/chromedp"
)

// The steps of a person on the pages of the demo marketplace. Each of these fails the test on a page where it cannot be done.

// LogIn logs in.
func (w *Window) LogIn(user, password string) {
	w.t.Helper()
	w.WantPage("login")
	w.fill("username", element("input[name=username]"), user)
	w.fill("password", element("input[name=password]"), password)
	w.act("login")
}

// Continue goes on with the account that the browser is logged in with.
func (w *Window) Continue() {
	w.t.Helper()
	w.WantPage("account")
	w.act("continue")
}

// SwitchAccount asks for the login page in place of the account that a page shows.
func (w *Window) SwitchAccount() {
	w.t.Helper()
	if page := w.Page(); page != "consent" && page != "store" {
		w.WantPage("account")
	}
	w.act("switch")
}

// Allow lets the application use the account.
func (w *Window) Allow() {
	w.t.Helper()
	w.WantPage("consent")
	w.act("allow")
}

// Deny does not.
func (w *Window) Deny() {
	w.t.Helper()
	w.WantPage("consent")
	w.act("deny")
}

// Authorize is Allow in Amazon's store.
func (w *Window) Authorize() {
	w.t.Helper()
	w.WantPage("store")
	w.act("allow")
}

// EnterCode types the code that a device shows.
func (w *Window) EnterCode(code string) {
	w.t.Helper()
	w.WantPage("code")
	w.fill("code", element("#code"), code)
	w.press("Next", element("form button"))
}

// act presses the button of the demo marketplace that does an action.
func (w *Window) act(action string) {
	w.t.Helper()
	w.press(action, element(fmt.Sprintf("button[name=action][value=%s]", action)))
}

// element is the first element that a CSS selector fits.
func element(selector string) chromedp.JSPath {
	return chromedp.JSPath("document.querySelector(" + quoted(selector) + ")")
}
