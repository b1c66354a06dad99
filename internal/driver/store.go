package driver

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/recall"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

// Read is the look with the custody of a grant Secret; a nil Secret stands for none. outdated tells that the custody is older than the account's status,
// which is always written after it.
func (d *Driver) Read(l Look, secret *corev1.Secret) (read Look, outdated bool, err error) {
	held, err := l.Grants.Decode(l.Account, secret)
	l.LeftOut, l.Unauthentic = nil, held.Unauthentic
	if err == nil {
		held.Custody, l.LeftOut = vetting.Form(held.Custody, l.Now)
	}
	if err == nil || tokensecret.IsNewer(err) { // a custody of a later version decides nothing, but tokens in memory are stored on top of it
		l.Custody, l.GrantSecret = held.Custody, held.Secret
		if len(l.Custody.RefusalKey) == 0 && len(l.NewKey) == 0 {
			l.NewKey, _ = custody.NewRefusalKey(d.Random) // without one, refusals are kept by versions
		}
	}
	if err == nil && l.Request.Platform != nil {
		l = d.vetAddresses(l)
	}
	return l, held.Outdated, err
}

// ReadLive is the look with the custody as the API server has it. Where the grant Secret cannot be used, the look is undecided. inHand tells that tokens
// wait to be stored: these are written on top of a custody of a later version as well.
func (d *Driver) ReadLive(ctx context.Context, l Look, inHand bool) (Look, error) {
	secret, err := l.Grants.Live(ctx, l.Account)
	if err != nil {
		return l, err
	}
	if secret != nil && grantstore.Own(l.Account, secret) == nil {
		return l.Undecided(inputs.Conflict(l.Account, secret)), nil
	}
	before := l.GrantSecret
	read, _, err := d.Read(l, secret)
	if err != nil && !(inHand && tokensecret.IsNewer(err)) {
		return l.Undecided(&facts.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: err.Error()}), nil
	}
	read.Live, read.late = true, read.late || !sameVersion(before, secret)
	return d.WithMemory(read), nil
}

// Confirm reads the custody from the API server, unless this look has done so, and tells whether the action is the next one by that custody too.
func (d *Driver) Confirm(ctx context.Context, l Look, action lifecycle.Action) (confirmed Look, due bool, err error) {
	if l.Live {
		return l, true, nil
	}
	l, err = d.ReadLive(ctx, l, false)
	if err != nil {
		return l, false, err
	}
	untried := l
	untried.Tried = l.Tried.Without(action)
	if lifecycle.Next(&untried.Facts, untried.Tried) != action {
		return untried, false, nil
	}
	return l, true, nil
}

// sameVersion tells whether two reads of a Secret brought the same; nil stands for none.
func sameVersion(a, b *corev1.Secret) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.UID == b.UID && a.ResourceVersion == b.ResourceVersion
}

// Apply stores the change that an event makes, and only then tells of it and acts on its effects.
func (d *Driver) Apply(ctx context.Context, l Look, change lifecycle.Change) (Look, error) {
	err := d.ApplyTo(ctx, &l, &change)
	return l, err
}

// ApplyTo is Apply to a look in place.
func (d *Driver) ApplyTo(ctx context.Context, l *Look, change *lifecycle.Change) error {
	if d.Observe != nil {
		d.Observe(l.Facts, *change)
	}
	if change.Store == nil {
		d.stored(ctx, l, change, &l.Custody)
		return nil
	}
	var held grantstore.Held
	if err := d.store(ctx, l, change, &held); err != nil {
		failWrite(l, change, err)
		return err
	}
	l.GrantSecret = held.Secret
	if l.late { // the change of the other writer may call for more, and after this write the watch does not tell of it
		l.Add(lifecycle.Outcome{LookAgain: Soon})
	}
	d.stored(ctx, l, change, &held.Custody)
	return nil
}

// store writes the custody of a change, and notes in it what is known of the Secrets of users. Like its neighbours it takes pointers: copies would stay on the
// worker's stack while the write is under way.
func (d *Driver) store(ctx context.Context, l *Look, change *lifecycle.Change, held *grantstore.Held) (err error) {
	retry := grantstore.Once
	if change.OnlyCopy {
		retry = grantstore.UntilStored
	}
	*held, err = l.Grants.Write(ctx, l.Account, grantstore.Held{Secret: l.GrantSecret, Custody: l.Custody}, noted(l, change), retry)
	return err
}

func noted(l *Look, change *lifecycle.Change) custody.Custody {
	return recall.Note(l.Facts, *change.Store)
}

// failWrite adds to the look what a change leaves behind that could not be written: that the marketplace was asked in vain, and why the API server refuses the
// grant Secret.
func failWrite(l *Look, change *lifecycle.Change, err error) {
	*l = l.With(change.NotStored()).Failing(Unwritable(l.Account.GrantSecretName(), err))
}

// stored tells of a change that was stored, and acts on its effects.
func (d *Driver) stored(ctx context.Context, l *Look, change *lifecycle.Change, written *custody.Custody) {
	d.follow(ctx, l, tell(l, change, written))
	d.remember(l)
}

// tell puts the facts and the outcome of a stored change into the look, and returns the effects that are left to act on.
func tell(l *Look, change *lifecycle.Change, written *custody.Custody) lifecycle.Effects {
	facts, outcome, effects := change.Stored(l.Facts, *written)
	l.Facts, l.Outcome = facts, l.Outcome.With(outcome)
	if outcome.Obtained {
		l.Tried = l.Tried.Without(lifecycle.Publish).Without(lifecycle.FindDuplicate)
	}
	return effects
}

// follow acts on the effects of a change that was stored.
func (d *Driver) follow(ctx context.Context, l *Look, effects lifecycle.Effects) {
	if effects.SignInCompleted {
		if l.Visiting { // a visit's look has no report
			d.Emit(l.Account, conditions.TokenIssued(l.Account, l.Custody.Serial))
		}
		d.Emit(l.Account, conditions.SignInCompleted(l.Request.Platform.DisplayName, l.Custody.Account.ID))
	}
	if effects.SignInRejected != nil {
		d.Emit(l.Account, conditions.SignInRejected(*effects.SignInRejected))
	}
	if effects.Revoke != nil {
		d.revokeWrong(ctx, *l, *effects.Revoke)
	}
	if effects.Refused && d.Refused != nil {
		l.AsksAgain, l.AskAgainAt = d.Refused(l.Facts)
	}
}

// Unwritable is the failure of a Secret that the API server does not let the operator write. Its text is not
// passed on: it may quote the tokens to write.
func Unwritable(name string, err error) *facts.Failure {
	reason := apierrors.ReasonForError(err)
	switch reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonBadRequest:
		return &facts.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: fmt.Sprintf("Secret %q cannot be written, the API server says %s: look for a quota, "+
			"a policy or webhook, missing rights, an immutable Secret or a type with keys of its own", name, reason)}
	}
	return nil // it passes
}

// OnceConfirmed applies a change that is made of the facts alone, if Confirm finds its action due.
func (d *Driver) OnceConfirmed(ctx context.Context, l Look, action lifecycle.Action, change func(facts.Facts) lifecycle.Change) (Look, error) {
	l, due, err := d.Confirm(ctx, l, action)
	if err != nil || !due {
		return l, err
	}
	return d.Apply(ctx, l, change(l.Facts))
}
