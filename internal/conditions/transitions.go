package conditions

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// Transition is a change of an account that is worth telling.
type Transition struct {
	// Event is the reason of its event: a constant Event… of the API.
	Event string
	// Warning tells that a person may have to act.
	Warning bool
	// Action is the operator's activity, in one word.
	Action string
	// Note says it in a sentence, without a link that is good for anybody with it.
	Note string
	// Secret names the Secret that the event is about beside the account, which tells it from events of others; usually empty.
	Secret string
}

// The actions of transitions.
const (
	issuing    = "Issue"
	renewing   = "Renew"
	signingIn  = "SignIn"
	publishing = "Publish"
	revoking   = "Revoke"
	resolving  = "Resolve"
	reading    = "Read"
)

// Transitions are the changes of an account since its status was before, in the order in which they are told; empty where nothing
// is news.
//
// A renewal is told where it is news: one that a person asked for, and one that ends a series of failures. The routine of every few hours
// is in the status and the metrics; as events it would be a write to the API server for each renewal.
func Transitions(before *v1alpha1.MarketplaceAccountStatus, l Look) []Transition {
	var all []Transition
	after := &l.Account.Status
	recovered := before.LastFailure != nil && after.LastFailure == nil
	switch {
	case !l.Obtained, l.KeepsFormer: // tokens that wait are in no Secret of workloads yet
	case l.First:
		all = append(all, TokenIssued(l.Account, l.Custody.Serial))
	case handledRenew(after) != handledRenew(before), recovered:
		all = append(all, Transition{Event: v1alpha1.EventTokenRenewed, Action: renewing, Note: "Stored a new token in Secret " + l.Account.TokenSecretName()})
	}
	if becameReason(before, after, v1alpha1.ConditionReauthRequired, v1alpha1.EventSignInRequired) {
		note := "A person must sign in; status.signIn says where"
		if l.LinksInSecret {
			note = fmt.Sprintf("A person must sign in; Secret %q says where", l.Account.SignInSecretName())
		}
		if l.Failure != nil {
			note = bounds.Shorten(l.Failure.Message, bounds.Message)
		}
		all = append(all, Transition{Event: v1alpha1.EventSignInRequired, Warning: true, Action: signingIn, Note: note})
	}
	if becameReason(before, after, v1alpha1.ConditionAuthorizationExpiring, v1alpha1.EventAuthorizationExpiring) {
		end := after.Authorization.ExpirationTime.UTC()
		all = append(all, Transition{Event: v1alpha1.EventAuthorizationExpiring, Warning: true, Action: renewing,
			Note: fmt.Sprintf("The authorization %s, on %s", inDays(end, l.Now), renewal.Date(end))})
	}
	if ready := withholds(after); ready != "" && withholds(before) == "" {
		all = append(all, Transition{Event: v1alpha1.EventIDTokenWithheld, Warning: true, Action: publishing, Note: ready})
	}
	if failed := after.LastFailure; l.Attempted && (before.LastFailure == nil || before.LastFailure.Reason != failed.Reason) {
		all = append(all, Transition{Event: cmp.Or(reasons.Of(failed.Reason).FailedEvent, v1alpha1.EventRenewalFailed), Warning: true, Action: renewing,
			Note: failed.Message})
	}
	return all
}

// TokenIssued tells that a grant has brought its first token; that of a later grant is not the account's first.
func TokenIssued(account *v1alpha1.MarketplaceAccount, serial int64) Transition {
	token := "the first token"
	if serial > 1 {
		token = "the token of a new grant"
	}
	return Transition{Event: v1alpha1.EventTokenIssued, Action: issuing, Note: "Stored " + token + " in Secret " + account.TokenSecretName()}
}

// SignInCompleted tells that a person has signed in at a marketplace; id is the account there, and empty where it is not known.
func SignInCompleted(marketplace, id string) Transition {
	note := "A person signed in at " + marketplace
	if id != "" {
		note += " as " + id
	}
	return Transition{Event: v1alpha1.EventSignInCompleted, Action: signingIn, Note: note}
}

// SignInRejected tells that a sign-in was of another account than the expected one, while the grant in use goes on.
func SignInRejected(why facts.Failure) Transition {
	return Transition{Event: v1alpha1.EventAccountMismatch, Warning: true, Action: signingIn, Note: why.Message}
}

// GrantRevoked tells that a grant was revoked at the marketplace, which note says how.
func GrantRevoked(note string) Transition {
	return Transition{Event: v1alpha1.EventGrantRevoked, Action: revoking, Note: note}
}

// GrantNotRevoked tells that a grant could not be revoked, and why.
func GrantNotRevoked(why string) Transition {
	return Transition{Event: v1alpha1.EventGrantRevoked, Warning: true, Action: revoking, Note: "The grant was not revoked: " + why}
}

// UseLabelMissing tells of a Secret that is used although its label does not allow it.
func UseLabelMissing(secret facts.UnlabelledSecret) Transition {
	return Transition{Event: v1alpha1.EventUseLabelMissing, Warning: true, Action: resolving, Note: bounds.Shorten(secret.Message, bounds.Message), Secret: secret.Name}
}

// CustodyUnauthenticated tells of a grant Secret that is not proven to be written by the operator, or of parts of it, by their names, that the operator never
// writes.
func CustodyUnauthenticated(secret string, unauthentic bool, parts []string) Transition {
	var notes []string
	if unauthentic {
		notes = append(notes, fmt.Sprintf("Secret %s was written by somebody else than tokenkeeper, or under a key that is lost; a refresh token or code in it is not sent with the "+
			"application of a Marketplace before a person signs in, or an admin annotates the Marketplace with %s=<anything new>. All else goes on", secret, v1alpha1.AnnotationAdoptCustody))
	}
	if len(parts) > 0 {
		notes = append(notes, fmt.Sprintf("Secret %s holds what tokenkeeper does not write, or what leads elsewhere than the Marketplace; it is left out: %s",
			secret, strings.Join(parts, ", ")))
	}
	return Transition{Event: v1alpha1.EventCustodyUnauthenticated, Warning: true, Action: reading, Note: bounds.Shorten(strings.Join(notes, ". "), bounds.Message)}
}

// handledRenew is the last request for a renewal that was acted on; empty when there was none.
func handledRenew(status *v1alpha1.MarketplaceAccountStatus) string {
	if status.Handled == nil {
		return ""
	}
	return status.Handled.Renew
}

// withholds is the message of Ready where it speaks of an ID token that is not published; empty where it does not.
func withholds(status *v1alpha1.MarketplaceAccountStatus) string {
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || !strings.Contains(ready.Message, WithoutIDToken) {
		return ""
	}
	return ready.Message
}

// becameReason tells whether a condition took a reason just now that is told by this event. A sign-in that was missing before, and given up on
// the way, is no news.
func becameReason(before, after *v1alpha1.MarketplaceAccountStatus, conditionType, event string) bool {
	was, is := meta.FindStatusCondition(before.Conditions, conditionType), meta.FindStatusCondition(after.Conditions, conditionType)
	if is == nil || reasons.Of(is.Reason).BecameEvent != event {
		return false
	}
	return was == nil || was.Reason != is.Reason && !(reasons.Of(was.Reason).AwaitsSignIn && reasons.Of(is.Reason).AwaitsSignIn)
}
