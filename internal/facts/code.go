package facts

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// MaxUnattended is how many codes in a row are made without being used: enough for a night, where a platform's codes
// live an hour. After the last one a person has to ask for another.
const MaxUnattended = 12

// CodeLives tells whether there is a device code that a person can use.
func (f *Facts) CodeLives() bool {
	pending := f.Custody.SignIn.Device
	return f.CodeFits(pending) && f.Now.Before(pending.ExpiresAt)
}

// CodeFits tells whether a device code asks for the scopes of the spec, and may be sent.
func (f *Facts) CodeFits(pending *custody.Device) bool {
	return pending != nil && !(f.Request.Shared && pending.Unproven) && f.Request.MayUse(pending.ClientID, pending.From) && slices.Equal(pending.Asked, f.Request.Platform.Scopes)
}

// MayStartCode tells whether to ask for a device code now: not when the last ones were not used, when a person declined, or
// when only a change can help, unless a person asks for it.
func (f *Facts) MayStartCode() bool {
	if f.SignInRequested() {
		return true
	}
	if f.Unattended() || f.Now.Before(f.NotBefore()) || f.Now.Before(f.NextCode()) || f.Now.Before(f.EditWaits) {
		return false
	}
	refused := f.SignInRefused()
	return refused == nil || reasons.Of(refused.Reason).AllowsCode
}

// Unattended tells that as many codes were made as should be while they are not used, or cannot be.
func (f *Facts) Unattended() bool {
	signIn := f.Custody.SignIn
	return signIn.Device == nil && (signIn.Unattended >= MaxUnattended || signIn.Ended != nil && signIn.Ended.Count >= MaxUnattended)
}

// NextCode is when to ask for a code after codes that the platform has ended early: at once after the first, which may have been
// used up by an answer that was lost, and then with growing waits. It is zero where there are none.
func (f *Facts) NextCode() time.Time {
	ended := f.Custody.SignIn.Ended
	if ended == nil || ended.Count < 2 {
		return time.Time{}
	}
	return renewal.RetryAt(ended.At, int32(min(ended.Count, MaxUnattended)), renewal.Spread(string(f.Account.UID)), 0)
}
