package userrequests

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// requestsAtOnce is how many requests of people an account has at once, and requestEvery when it gets another: renewals, tests and
	// sign-ins together. A person who presses a button never meets these bounds, and a loop of annotations costs a platform no more
	// than one call a minute for each account.
	requestsAtOnce = 3
	requestEvery   = time.Minute
)

// requestKinds are the annotations that count as requests.
var requestKinds = map[string]throttle.Request{v1alpha1.AnnotationRenew: 1, v1alpha1.AnnotationVerify: 2, v1alpha1.AnnotationSignIn: 4}

// Allowance admits requests of people. It may be used by many goroutines at once.
type Allowance struct {
	// requests belong to the name and not to the UID of an account: an account that is made anew gets no more.
	requests *throttle.Allowance[types.NamespacedName]
	digest   func(parts ...string) string
	edits    edits
}

// New returns an allowance by a clock. every is how often an account gets another request; zero means a minute. digest stands for parts of a
// request in memory.
func New(now func() time.Time, every time.Duration, digest func(parts ...string) string) *Allowance {
	return &Allowance{
		requests: throttle.NewAllowance[types.NamespacedName](now, requestsAtOnce, cmp.Or(every, requestEvery)),
		digest:   digest,
	}
}

// Admit lets requests of people through, as far as the account has any left. Further requests wait: the newest value of an annotation is
// acted on then, and stands for the values that it replaced. It sets Deferred, Edited and EditWaits of the facts.
func (a *Allowance) Admit(f facts.Facts) facts.Facts {
	f.Deferred = nil
	deferred := map[string]time.Time{}
	for annotation, open := range map[string]bool{
		v1alpha1.AnnotationRenew: f.RenewalRequested(), v1alpha1.AnnotationVerify: f.TestRequested(), v1alpha1.AnnotationSignIn: f.SignsIn() && f.SignInRequested(),
	} {
		if !open {
			continue
		}
		if ok, next := a.requests.Admit(client.ObjectKeyFromObject(f.Account), requestKinds[annotation]); !ok {
			deferred[annotation] = next
		}
	}
	if len(deferred) > 0 {
		f.Deferred = deferred
	}
	return a.admitEdit(f)
}

// Acted notes the requests that a look has acted on.
func (a *Allowance) Acted(l conditions.Look) {
	for annotation, done := range map[string]bool{
		v1alpha1.AnnotationRenew: l.HandledRenew, v1alpha1.AnnotationVerify: l.HandledVerify, v1alpha1.AnnotationSignIn: l.HandledSignIn,
	} {
		if done {
			a.requests.Done(client.ObjectKeyFromObject(l.Account), requestKinds[annotation])
		}
	}
}

// Leave notes that an account has left. Its requests stay counted for a while, so that making it anew brings no more of them.
func (a *Allowance) Leave(account client.ObjectKey, now time.Time) { a.edits.leave(account, now) }
