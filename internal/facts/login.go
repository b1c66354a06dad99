package facts

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// LoginDoubt is the record of the login to send, where its attempts ended without the platform's word; nil when there is none.
func (f *Facts) LoginDoubt() *custody.Doubt {
	if !f.Request.LogsIn() {
		return nil
	}
	return f.Custody.Logins.Doubt(f.Custody.RefusalDigest(f.Request.PasswordParts()))
}

// TriesAnew tells that a person asked to try the login again since its last attempt.
func (f *Facts) TriesAnew(doubt *custody.Doubt) bool {
	return !slices.Contains(doubt.Tried, f.Custody.RefusalDigest(f.Request.LoginParts()))
}

// LoginWait is the end of the wait after an attempt to log in; zero when there is none. Nothing but a request on the login's own
// Secret shortens it.
func (f *Facts) LoginWait() time.Time {
	doubt := f.LoginDoubt()
	if doubt == nil || doubt.WaitSeconds == 0 || f.TriesAnew(doubt) {
		return time.Time{}
	}
	return NotAfter(doubt.LastAt, f.Now).Add(time.Duration(doubt.WaitSeconds) * time.Second)
}

// LoginDecides tells that the wait after a failure is the login's, and not the account's backoff. A login that was not tried since
// another one failed does not wait.
func (f *Facts) LoginDecides() bool {
	doubt := f.LoginDoubt()
	if doubt == nil {
		return f.Request.LogsIn() && len(f.Custody.Logins.Doubts) > 0
	}
	return doubt.WaitSeconds > 0 || f.TriesAnew(doubt)
}

// LoginWorked tells that the login to send has brought tokens before.
func (f *Facts) LoginWorked() bool {
	worked := f.Custody.Logins.Worked
	return worked != "" && worked == f.Custody.RefusalDigest(f.Request.PasswordParts())
}
