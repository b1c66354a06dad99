package userrequests

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// An edit is a change of what a request is made of: of the account's spec, of a Secret that it names, or of its Marketplace. An attempt
// that follows an edit does not wait for the end of a backoff, and counts as a request of a person. A change that leaves the request as it was
// is no edit, and an edit after which nothing is sent costs nothing.

// requestEdit is an attempt that follows an edit.
const requestEdit throttle.Request = 8

// sentContent is the request that an account sent last, as digests that mean nothing outside of this process.
type sentContent struct {
	// request is of the request itself, and attempt also of the account whose change makes another attempt follow.
	request, attempt string
	// left is when the account left; zero while it is here.
	left time.Time
}

// edits remembers the request that each account sent last. It goes by name and not by UID, since an account that is made anew counts as an
// edit. It may be used by many goroutines at once.
type edits struct {
	mu      sync.Mutex // guards the fields below
	sent    map[types.NamespacedName]sentContent
	sweepAt int
}

func (e *edits) get(account types.NamespacedName) (sent sentContent, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sent, known = e.sent[account]
	return sent, known
}

func (e *edits) put(account types.NamespacedName, sent sentContent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sent == nil {
		e.sent = map[types.NamespacedName]sentContent{}
	}
	e.sent[account] = sent
}

// leave marks an account that has left, and forgets accounts that left so long ago that they have all of their requests again.
func (e *edits) leave(account types.NamespacedName, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if sent, known := e.sent[account]; known {
		sent.left = now
		e.sent[account] = sent
	}
	if len(e.sent) < e.sweepAt {
		return
	}
	for name, sent := range e.sent {
		if !sent.left.IsZero() && now.Sub(sent.left) > requestsAtOnce*requestEvery {
			delete(e.sent, name)
		}
	}
	e.sweepAt = max(64, 2*len(e.sent))
}

// contentOf stands for the request that the account would send now.
func (a *Allowance) contentOf(f facts.Facts) sentContent {
	req := f.Request
	request := slices.Concat([]string{string(req.Grant), req.Application.ClientID, req.Platform.RequestContent(), req.Imported.RefreshToken},
		req.LoginParts(), req.ClientParts())
	return sentContent{
		request: a.digest(request...),
		attempt: a.digest(append(request, string(f.Account.UID), f.Account.Spec.AccountID)...),
	}
}

// admitEdit lets the attempt through that follows an edit, as far as the account has any request left. A request that was sent before this
// process began is not known, and then nothing counts as an edit.
func (a *Allowance) admitEdit(f facts.Facts) facts.Facts {
	account := client.ObjectKeyFromObject(f.Account)
	sent, known := a.edits.get(account)
	if !known {
		return f
	}
	now := a.contentOf(f)
	f.Edited = now.request != sent.request
	if now.attempt == sent.attempt || f.RenewalRequested() || !f.Plan().Due && !f.NeedsSignIn() { // a request counts by itself
		return f
	}
	if ok, next := a.requests.Admit(account, requestEdit); !ok {
		f.EditWaits = next
	}
	return f
}

// Sends notes the request that the account is about to send, which uses an edit up.
func (a *Allowance) Sends(f facts.Facts) {
	account := client.ObjectKeyFromObject(f.Account)
	a.edits.put(account, a.contentOf(f))
	a.requests.Done(account, requestEdit)
}
