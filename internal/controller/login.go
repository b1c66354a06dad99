package controller

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// deniedWaits are how long nothing is tried after a login was answered 401 or 403 without an error code: a firewall, or a platform
// whose refusals carry no code and count towards a lock. The answer after the last wait is taken for the lock.
var deniedWaits = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// unprovenAttempts is how often a login that never worked is tried while its answers are lost, and unprovenWait how long is waited
// between the attempts after that.
const (
	unprovenAttempts = 4
	unprovenWait     = 24 * time.Hour
)

// withoutCode tells that a request was refused and nobody said why: the platform, or a firewall in front of it. Where the
// Marketplace's table of errors names the status, that is the platform's word.
func withoutCode(e *answer.Error) bool {
	return e.Kind == answer.Unavailable && e.Code == "" && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// userParts are what a platform locks.
func (r request) userParts() []string { return []string{"user", r.tokenHost(), r.login.Username} }

// passwordParts are a login without the request to try it again.
func (r request) passwordParts() []string {
	return []string{"password", r.tokenHost(), r.login.Username, r.login.Password}
}

// logsIn tells whether tokens come from a login.
func (r request) logsIn() bool { return r.grant == v1alpha1.GrantPassword && r.login.Password != "" }

// doubt is what is known of the login to send, where its attempts ended without the platform's word; nil when nothing is.
func (v view) doubt() *custody.Doubt {
	if !v.request.logsIn() {
		return nil
	}
	return v.custody.Logins.Doubt(v.custody.RefusalDigest(v.request.passwordParts()))
}

// triesAnew tells that somebody asked to try the login again since its last attempt.
func (v view) triesAnew(doubt *custody.Doubt) bool {
	return !slices.Contains(doubt.Tried, v.custody.RefusalDigest(v.request.loginParts()))
}

// loginWait is the end of the wait after an attempt to log in; zero when there is none. Nothing but a request on the login's own
// Secret shortens it.
func (v view) loginWait() time.Time {
	doubt := v.doubt()
	if doubt == nil || doubt.WaitSeconds == 0 || v.triesAnew(doubt) {
		return time.Time{}
	}
	last := doubt.LastAt
	if last.After(v.now) { // the clock was set back
		last = v.now
	}
	return last.Add(time.Duration(doubt.WaitSeconds) * time.Second)
}

// loginDecides tells that the wait after a failure is the login's, and not the account's backoff. A login that was not tried since
// another one failed does not wait.
func (v view) loginDecides() bool {
	doubt := v.doubt()
	if doubt == nil {
		return v.request.logsIn() && len(v.custody.Logins.Doubts) > 0
	}
	return doubt.WaitSeconds > 0 || v.triesAnew(doubt)
}

// loginWorked tells that the login to send has brought tokens before.
func (v view) loginWorked() bool {
	worked := v.custody.Logins.Worked
	return worked != "" && worked == v.custody.RefusalDigest(v.request.passwordParts())
}

// loggedIn records that the login has brought tokens, which forgets all that was in doubt before.
func (s *store) loggedIn(kept *custody.Custody) {
	if s.found.request.logsIn() && s.keyRefusals(kept) == nil {
		kept.Logins = custody.Logins{Worked: kept.RefusalDigest(s.found.request.passwordParts())}
	}
}

// mayBeLocked tells that an attempt to log in ended without the platform's word, and may count towards a lock; or that it passed
// in another way, where a login before it did not.
func (s *store) mayBeLocked(asked *answer.Error, sent bool) bool {
	f := s.found
	return f.request.logsIn() && (sent && (withoutCode(asked) || asked.OutcomeUnknown && !f.loginWorked()) ||
		asked.Passes() && len(f.custody.Logins.Doubts) > 0 && (f.doubt() == nil || f.triesAnew(f.doubt())))
}

// doubtLogin records an attempt to log in that ended without the platform's word. locked is what it is taken for in the end; nil
// while it is tried again.
func (s *store) doubtLogin(kept *custody.Custody, asked *answer.Error, sent bool) (locked *trouble) {
	f := s.found
	if s.keyRefusals(kept) != nil {
		return nil
	}
	doubt := custody.Doubt{
		Login: kept.RefusalDigest(f.request.passwordParts()), User: kept.RefusalDigest(f.request.userParts()),
	}
	if known := kept.Logins.Doubt(doubt.Login); known != nil {
		doubt = *known
	}
	doubt = doubt.Try(kept.RefusalDigest(f.request.loginParts()), f.now)
	doubt.WaitSeconds = 0
	switch {
	case !sent:
	case withoutCode(asked) && doubt.Denied >= len(deniedWaits):
		doubt.Denied++
		locked = f.lockedOrKeptOut(asked, doubt.Denied)
	case withoutCode(asked):
		doubt.WaitSeconds = int64(deniedWaits[doubt.Denied] / time.Second)
		doubt.Denied++
		f.trouble.message = fmt.Sprintf("%s is unavailable: it answered the login with HTTP %d without an error code, as a firewall in front of it does, "+
			"or a platform that locks a login (attempt %d of %d)", f.request.platform.DisplayName, asked.Status, doubt.Denied, len(deniedWaits)+1)
	case asked.OutcomeUnknown && !f.loginWorked():
		if doubt.Lost++; doubt.Lost >= unprovenAttempts {
			doubt.WaitSeconds = int64(unprovenWait / time.Second)
		}
	}
	kept.Logins = kept.Logins.With(doubt)
	if locked != nil { // what was tried under earlier requests is not tried again either
		tried := custody.Refusal{Digests: doubt.Tried}
		if kept.Refused != nil {
			tried.Digests = append(slices.Clone(kept.Refused.Digests), doubt.Tried...)
		}
		kept.Refused = &tried
	}
	return locked
}

// lockedOrKeptOut says that a login is not tried again, where nobody said why it was refused.
func (v view) lockedOrKeptOut(asked *answer.Error, times int) *trouble {
	name := v.request.platform.DisplayName
	return &trouble{v1alpha1.ReasonAccountLocked, fmt.Sprintf("%s answered the login with HTTP %d without an error code for the %s time: a firewall keeps "+
		"the operator out, or %s has locked the login; when that is mended, annotate its Secret%s with %s=<anything new> for one attempt",
		name, asked.Status, ordinal(times), name, inSecret(v.account), v1alpha1.AnnotationRetry)}
}

func ordinal(n int) string {
	switch {
	case n%100/10 != 1 && n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%100/10 != 1 && n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%100/10 != 1 && n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
