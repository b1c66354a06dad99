package conditions

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// ready is True while the token Secret holds an unexpired token for this spec, whatever else is wrong.
func (l Look) ready() metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	current := l.Unresolved || !l.ForOtherSpec() && !l.WrongAccount()
	switch {
	case l.Now.Before(l.ServedUntil) && current:
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonTokenValid
		until := "until " + renewal.ClockTime(l.ServedUntil)
		if l.ServedUntil.Equal(renewal.Never) {
			until = "and has no end of its own"
		}
		condition.Message = "The token is valid " + until + l.Withheld + l.endNote()
	case l.Failure != nil:
		condition.Reason, condition.Message = l.Failure.Reason, l.Failure.Message
	default:
		condition.Reason, condition.Message = v1alpha1.ReasonRenewing, beingObtained
	}
	return condition
}

// beingObtained is the message while nothing is wrong and there is no token yet.
const beingObtained = "A token is being obtained"

// endNote says that the end of the token is not the one that the marketplace told.
func (l Look) endNote() string {
	if tokens := l.Custody.Tokens; tokens == nil || !tokens.EndUnreadable || !tokens.ExpiresAt.Equal(l.ServedUntil) {
		return ""
	}
	return fmt.Sprintf("; the marketplace tells its end in a way that cannot be read, so it counts for %d minutes at most: look at "+
		"spec.tokenResponse of the Marketplace", int(lifecycle.UnreadableLife.Minutes()))
}

// WithoutIDToken begins the part of Ready's message about an ID token that is not published.
const WithoutIDToken = "its ID token is withheld"
