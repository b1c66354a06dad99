package controller

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
// that follows an edit does not wait for the end of a backoff, and counts as a request of a person. Edits that change no request are
// none, and one after which nothing is sent costs nothing.

// requestEdit is an attempt that follows an edit.
const requestEdit throttle.Request = 8

// sentContent is what an account sent last, as digests that mean nothing outside of this process.
type sentContent struct {
	// request is of the request itself, attempt also of what makes another attempt follow.
	request, attempt string
	// left is when the account left; zero while it is here.
	left time.Time
}

// edits remembers what accounts sent last. It goes by name and not by UID, since an account that is made anew counts as an edit. It may
// be used by many goroutines at once.
type edits struct {
	mu      sync.Mutex // guards the rest
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

// leave marks an account that has left, and forgets those that left so long ago that they have all of their requests again.
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

// contentOf is what the account would send now.
func (r *reconciler) contentOf(v facts.Facts) sentContent {
	req := v.Request
	request := slices.Concat([]string{string(req.Grant), req.Application.ClientID, req.Platform.RequestContent(), req.Imported.RefreshToken},
		req.LoginParts(), req.ClientParts())
	return sentContent{
		request: r.OAuth.Digest(request...),
		attempt: r.OAuth.Digest(append(request, string(v.Account.UID), v.Account.Spec.AccountID)...),
	}
}

// admitEdit lets the attempt through that follows an edit, as far as the account has any request left. What was sent before this
// process began is not known, and then nothing counts as an edit.
func (r *reconciler) admitEdit(f facts.Facts) facts.Facts {
	account := client.ObjectKeyFromObject(f.Account)
	sent, known := r.edits.get(account)
	if !known {
		return f
	}
	now := r.contentOf(f)
	f.Edited = now.request != sent.request
	if now.attempt == sent.attempt || f.RenewalRequested() || !f.Plan().Due && !f.NeedsSignIn() { // a request counts by itself
		return f
	}
	if ok, next := r.requests.Admit(account, requestEdit); !ok {
		f.EditWaits = next
	}
	return f
}

// sends notes what the account is about to send.
func (r *reconciler) sends(f facts.Facts) facts.Facts {
	account := client.ObjectKeyFromObject(f.Account)
	r.edits.put(account, r.contentOf(f))
	r.requests.Done(account, requestEdit)
	f.Edited, f.EditWaits = false, time.Time{}
	return f
}
