package invitation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// MustOffer tells that people are shown no link that works; or that one is needed and there is no portal, which has to be told.
func MustOffer(f *facts.Facts) bool {
	if f.Request.Grant == v1alpha1.GrantDeviceCode || !f.NeedsSignIn() {
		return false
	}
	return f.Link == "" || f.SignInRequested() || OpenTicket(f) == nil
}

// InStatus is the link or the code by which a person signs in, as the status shows it; nil where none is needed, and where there is none.
func InStatus(f *facts.Facts) *v1alpha1.SignInStatus {
	if !f.NeedsSignIn() {
		return nil
	}
	if f.Request.Grant == v1alpha1.GrantDeviceCode {
		if !f.CodeLives() {
			return nil
		}
		code := f.Custody.SignIn.Device
		return status(code.URL, code.UserCode, "", code.ExpiresAt)
	}
	if ticket := OpenTicket(f); f.Link != "" && ticket != nil {
		return status(f.Account.Status.SignIn.URL, "", f.CallbackURL, ticket.ExpiresAt)
	}
	return nil
}

// Link is a link that was just made and leads to address, as the status shows it.
func Link(f *facts.Facts, address string, end time.Time) *v1alpha1.SignInStatus {
	return status(address, "", f.CallbackURL, end)
}

func status(url, userCode, redirectURI string, end time.Time) *v1alpha1.SignInStatus {
	shown := &v1alpha1.SignInStatus{URL: url, UserCode: userCode, RedirectURI: redirectURI}
	shown.ExpirationTime.Time = end
	return shown
}
