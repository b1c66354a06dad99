package invitation

import (
	"cmp"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// MustOffer tells that people are shown no link that works, and can be; or that one is needed and there is no portal, which has to be told.
func MustOffer(f *facts.Facts) bool {
	if f.Request.Grant == v1alpha1.GrantDeviceCode || !f.NeedsSignIn() {
		return false
	}
	return f.Link == "" || f.PlaceTaken == "" && (f.SignInRequested() || OpenTicket(f) == nil)
}

// MustPublish tells that the sign-in Secret has a link or a code to show, or one to show no more.
func MustPublish(f *facts.Facts) bool {
	return f.HoldsSignIn || f.LinksInSecret && f.NeedsSignIn()
}

// InStatus is the link or the code by which a person signs in, as the status shows it; nil where none is needed, and where there is none. The
// status shows no more than the address of what the sign-in Secret shows.
func InStatus(f *facts.Facts) *v1alpha1.SignInStatus {
	code, ticket := waiting(f)
	switch {
	case f.PlaceTaken != "":
		return nil
	case code != nil && f.LinksInSecret:
		return status(pageOf(code), "", "", code.ExpiresAt)
	case code != nil:
		return status(code.URL, code.UserCode, "", code.ExpiresAt)
	case ticket != nil && f.LinksInSecret:
		return status(f.Link, "", f.CallbackURL, ticket.ExpiresAt)
	case ticket != nil:
		return status(f.Account.Status.SignIn.URL, "", f.CallbackURL, ticket.ExpiresAt)
	}
	return nil
}

// InSecret is the link or the code by which a person signs in, as the sign-in Secret shows it; nil where there is no such Secret.
func InSecret(f *facts.Facts) *tokensecret.SignIn {
	code, ticket := waiting(f)
	switch {
	case !f.LinksInSecret:
		return nil
	case code != nil:
		return &tokensecret.SignIn{URL: code.URL, UserCode: code.UserCode}
	case ticket != nil:
		return &tokensecret.SignIn{URL: f.Link, Ticket: ticket.Hash}
	}
	return nil
}

// waiting is the device code or the ticket that waits for a person; both are nil where none does.
func waiting(f *facts.Facts) (*custody.Device, *custody.Ticket) {
	switch {
	case !f.NeedsSignIn():
		return nil, nil
	case f.Request.Grant != v1alpha1.GrantDeviceCode && f.Link != "":
		return nil, OpenTicket(f)
	case f.Request.Grant == v1alpha1.GrantDeviceCode && f.CodeLives():
		return f.Custody.SignIn.Device, nil
	}
	return nil, nil
}

// IsExposed tells that the status shows a link that it must not show any more, so that other people may have read it.
func IsExposed(f *facts.Facts) bool {
	shown := f.Account.Status.SignIn
	if !f.LinksInSecret || shown == nil {
		return false
	}
	_, ticket := signin.SplitLink(shown.URL)
	return ticket != ""
}

// pageOf is the address at which a device code is entered: its host alone, where the rest holds the code.
func pageOf(code *custody.Device) string {
	page := cmp.Or(code.Page, code.URL)
	text, err := url.PathUnescape(page)
	if err == nil && !strings.Contains(signs(text), signs(code.UserCode)) {
		return page
	}
	if address, err := url.Parse(page); err == nil {
		return address.Scheme + "://" + address.Host
	}
	return ""
}

// signs are the letters and digits of a text: platforms write a code with and without other signs, in either case.
func signs(text string) string {
	return strings.Map(func(char rune) rune {
		if !unicode.IsLetter(char) && !unicode.IsDigit(char) {
			return -1
		}
		return unicode.ToLower(char)
	}, text)
}

// Link is a link that was just made and leads to address, as the status shows it.
func Link(f *facts.Facts, address string, end time.Time) *v1alpha1.SignInStatus {
	return status(address, "", f.CallbackURL, end)
}

func status(address, userCode, redirectURI string, end time.Time) *v1alpha1.SignInStatus {
	shown := &v1alpha1.SignInStatus{URL: address, UserCode: userCode, RedirectURI: redirectURI}
	shown.ExpirationTime.Time = end
	return shown
}
