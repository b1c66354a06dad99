// Package driver carries out the decisions of package lifecycle, for every look at an account: it reads the custody, stores the change that an
// event has made, and only then tells of it and acts on its effects. The controller drives all actions, a visit at the portal a sign-in's alone.
package driver

import (
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Driver reads and stores on behalf of looks at accounts. All fields but Portal, Remember, Refused and Observe are required. It may be used by many goroutines
// at once, of which one at a time works on an account.
type Driver struct {
	// Clock tells the time.
	Clock clock.PassiveClock
	// Random is where keys, tickets and states come from.
	Random io.Reader
	// Recorder emits events.
	Recorder events.EventRecorder
	// Resolver follows references, and Sellers finds the other accounts of a seller.
	Resolver *inputs.Resolver
	Sellers  *inputs.Sellers
	// OAuth makes requests to marketplaces.
	OAuth *oauthclient.Client
	// Holder names this process in journals.
	Holder string
	// Portal is the public address of the pages where people sign in; empty when there are none.
	Portal signin.Address
	// Remember tells what this process alone knows of an account's device code, after the custody was read or written; nil where it knows nothing.
	Remember func(facts.Facts) Remembered
	// Refused is called when a refusal was stored. It tells whether the account is the one that asks again for its application now, and when to look again;
	// nil where no account asks again.
	Refused func(facts.Facts) (asks bool, lookAgain time.Time)
	// Observe is called with each change before it is stored, and with the facts that it was made of. It is for simulations, and nil elsewhere.
	Observe func(facts.Facts, lifecycle.Change)
}

// Remembered are the facts about a device code that are in the memory of a process.
type Remembered struct {
	// Approved tells that the code has become tokens that are not stored yet, and Used that it may have, since a poll had no answer.
	Approved, Used bool
	// PollAt is when to ask about the code again, or for one; zero for now.
	PollAt time.Time
}

// LookAt begins a look at an account, of which no reference is known yet.
func (d *Driver) LookAt(account *v1alpha1.MarketplaceAccount, grants *grantstore.Store) Look {
	l := Look{Facts: d.FactsOf(account), Grants: grants}
	l.Unresolved = true
	return l
}

// FactsOf are the facts of an account before anything is read.
func (d *Driver) FactsOf(account *v1alpha1.MarketplaceAccount) facts.Facts {
	return facts.Facts{
		Account: account, Now: d.Now(), Holder: d.Holder,
		CallTimeout: d.OAuth.CallTimeout(), AttemptTimeout: timeouts.Attempt(d.OAuth.CallTimeout()),
	}
}

// Now is the current time as the API stores it: in UTC and whole seconds.
func (d *Driver) Now() time.Time {
	return d.Clock.Now().UTC().Truncate(time.Second)
}

// Emit makes events of transitions, after the status says the same.
func (d *Driver) Emit(account *v1alpha1.MarketplaceAccount, transitions ...conditions.Transition) {
	for _, transition := range transitions {
		eventType := corev1.EventTypeNormal
		if transition.Warning {
			eventType = corev1.EventTypeWarning
		}
		var related runtime.Object
		if transition.Secret != "" {
			related = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: transition.Secret}}
		}
		d.Recorder.Eventf(account, related, eventType, transition.Event, transition.Action, "%s", transition.Note)
	}
}

// WithMemory is the look with the facts about the account's device code that are in memory now.
func (d *Driver) WithMemory(l Look) Look {
	d.remember(&l)
	return l
}

func (d *Driver) remember(l *Look) {
	if d.Remember != nil {
		known := d.Remember(l.Facts)
		l.Approved, l.CodeUsed, l.PollAt = known.Approved, known.Used, known.PollAt
	}
}
