package peers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

const (
	// lookAtLogin is when an account looks again while another one tries the same login, should it not be called before.
	lookAtLogin = 30 * time.Second
	// lookAtRefusedLogin is the same where the login was refused for good to another account.
	lookAtRefusedLogin = 10 * time.Minute
)

// Logins keeps several accounts with one login from trying it one after the other: after a failure one account alone asks, and a login that
// is refused to it is refused to all. It may be used by many goroutines at once.
type Logins struct {
	// accounts reads accounts from the cache, and grants their custody.
	accounts client.Reader
	grants   *grantstore.Store
	// call puts an account into the work queue. It is set before any account asks; nil until then.
	call func(client.ObjectKey)
	// failed are the accounts whose login failed.
	failed *accountmemory.Memory[*failedLogin]

	mu     sync.Mutex // guards the fields below, and that two steps see the same of failed
	loaded bool
	asking map[loginUser]types.UID
	held   map[loginUser]map[client.ObjectKey]bool
}

// NewLogins returns the logins of the accounts of a cache, whose custody is read from grants. owner forgets accounts that leave.
func NewLogins(accounts client.Reader, grants *grantstore.Store, owner *accountmemory.Owner) *Logins {
	return &Logins{accounts: accounts, grants: grants, failed: accountmemory.New[*failedLogin](owner)}
}

// OnEnd sets how an account is called that waited for the end of another account's attempt.
func (l *Logins) OnEnd(call func(client.ObjectKey)) { l.call = call }

// loginUser is a user of a platform, which locks it after too many failures.
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

// failedLoginOf returns the failure of an account's login; false where there is none.
func failedLoginOf(account *v1alpha1.MarketplaceAccount, kept custody.Custody, doubt *custody.Doubt) (*failedLogin, bool) {
	f := &failedLogin{account: client.ObjectKeyFromObject(account), custody: custody.Custody{RefusalKey: kept.RefusalKey}}
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

// Note keeps whether the account's login has failed. An account whose references do not resolve cannot ask, and holds no other account up.
func (l *Logins) Note(f facts.Facts) {
	if f.Unresolved {
		l.failed.Set(f.Account.UID, nil)
		return
	}
	l.note(f)
}

func (l *Logins) note(f facts.Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed, ok := failedLoginOf(f.Account, f.Custody, f.LoginDoubt()); ok && f.Request.LogsIn() {
		l.failed.Set(f.Account.UID, failed)
		return
	}
	l.failed.Set(f.Account.UID, nil)
}

// Begin lets an account try its login; held where it has to wait, and then the look says until when and why. An attempt that was let
// through is followed by End. Its error is the cache's.
func (l *Logins) Begin(ctx context.Context, look driver.Look) (told driver.Look, held bool, err error) {
	if !look.Request.LogsIn() {
		return look, false, nil
	}
	if err := l.load(ctx); err != nil {
		return look, true, err
	}
	hold := l.begin(look.Facts)
	if hold == nil {
		return look, false, nil
	}
	name := look.Request.Platform.DisplayName
	outcome := lifecycle.Outcome{Postponed: look.Now.Add(lookAtLogin)}
	switch {
	case hold.asking:
	case hold.refused == nil:
		outcome.Failure = &facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("%s did not take the login of another account with "+
			"the same user name; that one tries again, and this one follows once it is let in", name)}
	default:
		outcome.Postponed, outcome.HandledRenew = look.Now.Add(lookAtRefusedLogin), look.RenewalRequested()
		outcome.Failure = &facts.Failure{Reason: hold.refused.Reason, Message: fmt.Sprintf("%s has refused this login to another account with the same user name and "+
			"password; it is not tried again until the password changes%s, or its Secret is annotated with %s=<anything new>", name, facts.InSecret(look.Account), v1alpha1.AnnotationRetry)}
	}
	return look.With(outcome), true, nil
}

// begin lets an account try its login, or returns why not.
func (l *Logins) begin(v facts.Facts) *loginHold {
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

// End is called after an attempt that Begin let through, once its result is stored. It calls the accounts that were held up meanwhile.
func (l *Logins) End(f facts.Facts) {
	if !f.Request.LogsIn() {
		return
	}
	l.note(f)
	l.mu.Lock()
	user := loginUserOf(f.Request)
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
func (l *Logins) reason(v facts.Facts) (hold *loginHold) {
	l.failed.Each(func(uid types.UID, other *failedLogin) bool {
		switch {
		case uid == v.Account.UID:
		case other.refused.Covers(other.custody.RefusalDigest(v.Request.LoginParts())):
			hold = &loginHold{refused: other.refused}
			return false
		case hold == nil && other.triesFor(v) && !(v.LoginDoubt() != nil && v.Account.UID < uid):
			hold = &loginHold{}
		}
		return true
	})
	return hold
}

// triesFor tells that the other account tries the same login already, or in the same namespace a login of the same user. In another
// namespace a user of that name with another password is a stranger, and must not hold this account up.
func (f *failedLogin) triesFor(v facts.Facts) bool {
	if f.doubt == nil {
		return false
	}
	if f.doubt.Login == f.custody.RefusalDigest(v.Request.PasswordParts()) {
		return slices.Contains(f.doubt.Tried, f.custody.RefusalDigest(v.Request.LoginParts()))
	}
	return f.account.Namespace == v.Account.Namespace && f.doubt.User == f.custody.RefusalDigest(v.Request.UserParts())
}

// load learns, once in the life of the process, which logins had failed before.
func (l *Logins) load(ctx context.Context) error {
	l.mu.Lock()
	loaded := l.loaded
	l.mu.Unlock()
	if loaded {
		return nil
	}
	var accounts v1alpha1.MarketplaceAccountList
	if err := l.accounts.List(ctx, &accounts, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing accounts for their logins: %w", err)
	}
	failed := map[types.UID]*failedLogin{}
	for i := range accounts.Items {
		account := &accounts.Items[i]
		if account.Spec.Grant.Type != v1alpha1.GrantPassword || !account.DeletionTimestamp.IsZero() {
			continue
		}
		held, err := l.grants.Cached(ctx, account)
		if err != nil {
			return err
		}
		kept, err := l.grants.CustodyIn(account, held)
		if err != nil {
			continue // its own reconcile reports that
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
		if l.failed.Of(uid) == nil { // what is known is newer
			l.failed.Set(uid, login)
		}
	}
	l.loaded = true
	return nil
}
