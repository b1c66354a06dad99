package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// pageLimit is more than a page of the portal has.
const pageLimit = 1 << 20

// accept plays the invited person, at a browser that was never used before. The address is the demo marketplace's.
func (i invitation) accept(ctx context.Context, market string) error {
	ctx, cancel := context.WithTimeout(ctx, timeouts.DemoSignIn)
	defer cancel()
	browser, err := newBrowser()
	if err != nil {
		return err
	}
	person := demomarket.Person{User: i.user, Password: demomarket.DefaultPassword}
	if i.code != "" {
		return person.DecideDevice(ctx, browser, i.url)
	}
	callback, err := person.SignIn(ctx, browser, market, i.url)
	if err != nil {
		return err
	}
	return comeBack(ctx, browser, callback.String())
}

// comeBack goes where the marketplace sends the browser, and looks at the page that shows how the sign-in ended.
func comeBack(ctx context.Context, browser *http.Client, callback string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, callback, http.NoBody)
	if err != nil {
		return fmt.Errorf("reading the address of the callback: %w", err)
	}
	response, err := browser.Do(request)
	if err != nil {
		return fmt.Errorf("coming back from the marketplace: %w", err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, pageLimit))
	if err != nil {
		return fmt.Errorf("reading what became of the sign-in: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("back from the marketplace, the page says %s: %s", response.Status, title(string(page)))
	}
	return nil
}

// title is the title of a page.
func title(page string) string {
	_, rest, _ := strings.Cut(page, "<title>")
	words, _, _ := strings.Cut(rest, "</title>")
	return html.UnescapeString(words)
}

// newBrowser returns a client that keeps cookies as a browser does.
func newBrowser() (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("making a cookie jar: %w", err)
	}
	return &http.Client{Jar: loopbackJar{jar}}, nil
}

// loopbackJar takes loopback for as secure as https, as browsers do: a jar of net/http keeps secure cookies back there.
type loopbackJar struct{ http.CookieJar }

// Cookies implements http.CookieJar.
func (j loopbackJar) Cookies(address *url.URL) []*http.Cookie {
	return j.CookieJar.Cookies(secured(address))
}

// SetCookies implements http.CookieJar.
func (j loopbackJar) SetCookies(address *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secured(address), cookies)
}

// secured is an address on loopback with https, and any other as it is.
func secured(address *url.URL) *url.URL {
	host := address.Hostname()
	if host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return address
	}
	secure := *address
	secure.Scheme = "https"
	return &secure
}
