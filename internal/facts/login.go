package facts

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
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
	last := doubt.LastAt
	if last.After(f.Now) { // the clock was set back
		last = f.Now
	}
	return last.Add(time.Duration(doubt.WaitSeconds) * time.Second)
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

// LockedOrKeptOut says that a login is not tried again that was refused without a reason.
func (f *Facts) LockedOrKeptOut(asked *answer.Error, times int) *Failure {
	name := f.Request.Platform.DisplayName
	return &Failure{v1alpha1.ReasonAccountLocked, fmt.Sprintf("%s answered the login with HTTP %d without an error code for the %s time: a firewall keeps "+
		"the operator out, or %s has locked the login; when that is mended, annotate its Secret%s with %s=<anything new> for one attempt",
		name, asked.Status, ordinal(times), name, InSecret(f.Account), v1alpha1.AnnotationRetry)}
}

func ordinal(n int) string {
	suffix := map[int]string{1: "st", 2: "nd", 3: "rd"}[n%10]
	if suffix == "" || n%100/10 == 1 {
		suffix = "th"
	}
	return fmt.Sprint(n, suffix)
}
