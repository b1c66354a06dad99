package controller

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
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

// loggedIn records that the login has brought tokens, which forgets all that was in doubt before.
func (s *store) loggedIn(kept *custody.Custody) {
	if s.found.Request.LogsIn() && s.keyRefusals(kept) == nil {
		kept.Logins = custody.Logins{Worked: kept.RefusalDigest(s.found.Request.PasswordParts())}
	}
}

// mayBeLocked tells that an attempt to log in ended without the platform's word, and may count towards a lock; or that it passed
// in another way, where a login before it did not.
func (s *store) mayBeLocked(asked *answer.Error, sent bool) bool {
	f := s.found
	return f.Request.LogsIn() && (sent && (asked.WithoutCode() || asked.OutcomeUnknown && !f.LoginWorked()) ||
		asked.Passes() && len(f.Custody.Logins.Doubts) > 0 && (f.LoginDoubt() == nil || f.TriesAnew(f.LoginDoubt())))
}

// doubtLogin records an attempt to log in that ended without the platform's word. locked is what it is taken for in the end; nil
// while it is tried again.
func (s *store) doubtLogin(kept *custody.Custody, asked *answer.Error, sent bool) (locked *lifecycle.Failure) {
	f := s.found
	if s.keyRefusals(kept) != nil {
		return nil
	}
	doubt := custody.Doubt{
		Login: kept.RefusalDigest(f.Request.PasswordParts()), User: kept.RefusalDigest(f.Request.UserParts()),
	}
	if known := kept.Logins.Doubt(doubt.Login); known != nil {
		doubt = *known
	}
	doubt = doubt.Try(kept.RefusalDigest(f.Request.LoginParts()), f.Now)
	doubt.WaitSeconds = 0
	switch {
	case !sent:
	case asked.WithoutCode() && doubt.Denied >= len(deniedWaits):
		doubt.Denied++
		locked = f.LockedOrKeptOut(asked, doubt.Denied)
	case asked.WithoutCode():
		doubt.WaitSeconds = int64(deniedWaits[doubt.Denied] / time.Second)
		doubt.Denied++
		f.Failure.Message = fmt.Sprintf("%s is unavailable: it answered the login with HTTP %d without an error code, as a firewall in front of it does, "+
			"or a platform that locks a login (attempt %d of %d)", f.Request.Platform.DisplayName, asked.Status, doubt.Denied, len(deniedWaits)+1)
	case asked.OutcomeUnknown && !f.LoginWorked():
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
