package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

const (
	// lookAtLogin is when an account looks again whose login another one tries, should nothing call it before.
	lookAtLogin = 30 * time.Second
	// lookAtRefusedLogin is the same where another account's login was refused for good.
	lookAtRefusedLogin = 10 * time.Minute
)

// logins keeps several accounts with one login from trying it one after the other: after a failure one alone asks, and what was
// refused to it is refused to all. It may be used by many goroutines at once.
type logins struct {
	// call brings an account to attention. It is set before anything is asked.
	call func(client.ObjectKey)

	mu     sync.Mutex // guards the rest
	loaded bool
	failed map[types.UID]failedLogin
	asking map[loginUser]types.UID
	held   map[loginUser]map[client.ObjectKey]bool
}

// loginUser is what a platform locks.
type loginUser struct{ host, name string }

func loginUserOf(r facts.Request) loginUser { return loginUser{r.TokenHost(), r.Login.Username} }

// failedLogin is an account whose login failed.
type failedLogin struct {
	account client.ObjectKey
	// custody holds the key of the digests alone.
	custody custody.Custody
	refused *custody.Refusal
	// doubt is the login that the account goes on to try; nil when there is none.
	doubt *custody.Doubt
}

// loginHold is why an account must not try its login now.
type loginHold struct {
	// refused is a refusal to another account; nil while that one still tries.
	refused *custody.Refusal
	// asking tells that another account's request is under way.
	asking bool
}

// failedLoginOf is what is known of an account's login, and whether there is anything.
func failedLoginOf(account *v1alpha1.MarketplaceAccount, kept custody.Custody, doubt *custody.Doubt) (failedLogin, bool) {
	f := failedLogin{account: client.ObjectKeyFromObject(account), custody: custody.Custody{RefusalKey: kept.RefusalKey}}
	if refused := kept.Refused; refused != nil && !refused.Versioned() && ofLogin(refused.Reason) {
		f.refused = refused
	}
	final := doubt != nil && len(doubt.Tried) > 0 && f.refused.Covers(doubt.Tried[len(doubt.Tried)-1])
	if !final && account.Spec.Renewal.Policy != v1alpha1.RenewalSuspended {
		f.doubt = doubt
	}
	return f, f.refused != nil || f.doubt != nil
}

// ofLogin tells that a refusal for this reason speaks of a login, where the grant is one.
func ofLogin(reason string) bool {
	subject := reasons.Of(reason).Subject
	return subject == reasons.Login || subject == reasons.Grant
}

// note keeps what is known of an account's login.
func (l *logins) note(v facts.Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed, ok := failedLoginOf(v.Account, v.Custody, v.LoginDoubt()); ok && v.Request.LogsIn() {
		l.put(v.Account.UID, failed)
		return
	}
	delete(l.failed, v.Account.UID)
}

func (l *logins) put(uid types.UID, failed failedLogin) {
	if l.failed == nil {
		l.failed = map[types.UID]failedLogin{}
	}
	l.failed[uid] = failed
}

// forget drops an account that has left, or cannot ask for now.
func (l *logins) forget(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, uid)
}

// begin lets an account try its login, or tells why not.
func (l *logins) begin(v facts.Facts) *loginHold {
	l.mu.Lock()
	defer l.mu.Unlock()
	user := loginUserOf(v.Request)
	hold := l.reason(v)
	if by, asking := l.asking[user]; hold == nil && asking && by != v.Account.UID {
		hold = &loginHold{asking: true}
	}
	if hold != nil {
		if l.held == nil {
			l.held = map[loginUser]map[client.ObjectKey]bool{}
		}
		if l.held[user] == nil {
			l.held[user] = map[client.ObjectKey]bool{}
		}
		l.held[user][client.ObjectKeyFromObject(v.Account)] = true
		return hold
	}
	if l.asking == nil {
		l.asking = map[loginUser]types.UID{}
	}
	l.asking[user] = v.Account.UID
	return nil
}

// end is called when an attempt is over and its result is stored, and calls the accounts that were held.
func (l *logins) end(v facts.Facts) {
	l.note(v)
	l.mu.Lock()
	user := loginUserOf(v.Request)
	delete(l.asking, user)
	held := l.held[user]
	delete(l.held, user)
	l.mu.Unlock()
	for account := range held {
		if l.call != nil {
			l.call(account)
		}
	}
}

// reason is why another account's failure holds this one; nil when none does.
func (l *logins) reason(v facts.Facts) *loginHold {
	var hold *loginHold
	for uid, other := range l.failed {
		if uid == v.Account.UID {
			continue
		}
		if other.refused.Covers(other.custody.RefusalDigest(v.Request.LoginParts())) {
			return &loginHold{refused: other.refused}
		}
		if hold == nil && other.triesFor(v) && !(v.LoginDoubt() != nil && v.Account.UID < uid) {
			hold = &loginHold{}
		}
	}
	return hold
}

// triesFor tells that the other account tries the same login already, or in the same namespace one of the same user. Elsewhere a
// namesake with another password is a stranger, who must not hold up anybody.
func (f failedLogin) triesFor(v facts.Facts) bool {
	if f.doubt == nil {
		return false
	}
	if f.doubt.Login == f.custody.RefusalDigest(v.Request.PasswordParts()) {
		return slices.Contains(f.doubt.Tried, f.custody.RefusalDigest(v.Request.LoginParts()))
	}
	return f.account.Namespace == v.Account.Namespace && f.doubt.User == f.custody.RefusalDigest(v.Request.UserParts())
}

// load learns, once in the life of the process, which logins had failed before.
func (l *logins) load(ctx context.Context, r *reconciler) error {
	l.mu.Lock()
	loaded := l.loaded
	l.mu.Unlock()
	if loaded {
		return nil
	}
	var accounts v1alpha1.MarketplaceAccountList
	if err := r.cached.List(ctx, &accounts, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing accounts for their logins: %w", err)
	}
	failed := map[types.UID]failedLogin{}
	for i := range accounts.Items {
		account := &accounts.Items[i]
		if account.Spec.Grant.Type != v1alpha1.GrantPassword || !account.DeletionTimestamp.IsZero() {
			continue
		}
		held, err := r.grants.Cached(ctx, account)
		if err != nil {
			return err
		}
		kept, err := grantstore.CustodyIn(account, held)
		if err != nil {
			continue // its own look tells
		}
		var doubt *custody.Doubt
		if all := kept.Logins.Doubts; len(all) > 0 {
			doubt = &all[len(all)-1]
		}
		if login, ok := failedLoginOf(account, kept, doubt); ok {
			failed[account.UID] = login
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded {
		return nil
	}
	for uid, login := range failed {
		if _, known := l.failed[uid]; !known { // which is newer
			l.put(uid, login)
		}
	}
	l.loaded = true
	return nil
}

// noteLogin keeps what this look has found of the account's login.
func (r *reconciler) noteLogin(f facts.Facts) {
	if f.Unresolved {
		r.logins.forget(f.Account.UID)
		return
	}
	r.logins.note(f)
}

// endLogin is called after an attempt that beginLogin let through.
func (r *reconciler) endLogin(f facts.Facts) {
	if f.Request.LogsIn() {
		r.logins.end(f)
	}
}

// beginLogin lets an account try its login, or tells people why it waits.
func (r *reconciler) beginLogin(ctx context.Context, l driver.Look) (told driver.Look, held bool, err error) {
	if !l.Request.LogsIn() {
		return l, false, nil
	}
	if err := r.logins.load(ctx, r); err != nil {
		return l, true, err
	}
	hold := r.logins.begin(l.Facts)
	if hold == nil {
		return l, false, nil
	}
	name := l.Request.Platform.DisplayName
	outcome := lifecycle.Outcome{Postponed: l.Now.Add(lookAtLogin)}
	switch {
	case hold.asking:
	case hold.refused == nil:
		outcome.Failure = &facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("%s did not take the login of another account with "+
			"the same user name; that one tries again, and this one follows once it is let in", name)}
	default:
		outcome.Postponed, outcome.HandledRenew = l.Now.Add(lookAtRefusedLogin), l.RenewalRequested()
		outcome.Failure = &facts.Failure{Reason: hold.refused.Reason, Message: fmt.Sprintf("%s has refused this login to another account with the same user name and "+
			"password; it is not tried again until the password changes%s, or its Secret is annotated with %s=<anything new>", name, facts.InSecret(l.Account), v1alpha1.AnnotationRetry)}
	}
	return l.With(outcome), true, nil
}
