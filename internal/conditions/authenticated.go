package conditions

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// authenticated is True while the marketplace honours the grant, which ends at ending; zero where nothing ends.
func (l Look) authenticated(ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionAuthenticated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid}
	switch {
	case l.Failure == nil && l.Custody.Tokens == nil:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionUnknown, v1alpha1.ReasonRenewing, beingObtained
	case l.Failure == nil:
		condition.Message = l.asWhom(ending)
		l.warn(&condition)
	default:
		condition.Status, condition.Reason = metav1.ConditionFalse, l.Failure.Reason
		condition.Message = l.Failure.Message + l.outlook()
		if l.Unresolved || reasons.Of(l.Failure.Reason).Authenticated == metav1.ConditionUnknown {
			condition.Status = metav1.ConditionUnknown
		}
	}
	return condition
}

// warn adds missing scopes, a duplicate, unused input and times that cannot be read to the message of a grant that works.
func (l Look) warn(condition *metav1.Condition) {
	if missing := l.MissingScopes(); len(missing) > 0 {
		condition.Reason = v1alpha1.ReasonScopesReduced
		condition.Message += ", without the scopes " + strings.Join(missing, ", ")
	}
	if l.DuplicateOf != "" {
		condition.Reason = v1alpha1.ReasonDuplicateAccount
		condition.Message += "; " + l.DuplicateOf + " holds tokens of the same account"
	}
	if l.Unresolved {
		return
	}
	if unreadable := l.Request.Unreadable; unreadable != nil {
		condition.Reason = unreadable.Reason
		condition.Message += "; what was supplied since then is not used: " + unreadable.Message
	}
	for _, misdated := range []string{l.Request.Application.Misdated, l.Request.Imported.Misdated} {
		if misdated != "" {
			condition.Message += "; nothing is counted by a time that cannot be read: " + misdated
		}
	}
	if refused := l.SignInRefused(); refused != nil {
		if reasons.Of(refused.Reason).Warns {
			condition.Reason = refused.Reason
		}
		condition.Message += "; the last sign-in was not used: " + refused.Message
	}
}

// asWhom is the sentence that people look for.
func (l Look) asWhom(ending time.Time) string {
	text := "Authenticated"
	if seller := l.Account.Status.Account; seller != nil {
		switch {
		case seller.Login != "" && seller.ID != "":
			text += fmt.Sprintf(" as %s (%s)", seller.Login, seller.ID)
		default:
			text += " as " + seller.Login + seller.ID
		}
	}
	switch {
	case ending.IsZero():
	case l.renewsItself():
		text += ", authorization renews itself"
	default:
		text += ", authorization " + inDays(ending, l.Now)
	}
	if verified := l.Custody.Verified; verified != nil {
		text += ", connection tested at " + renewal.ClockTime(verified.At)
		if verified.Failure != "" {
			text += ": " + verified.Failure
		}
	}
	return text
}

// outlook says when the next attempt follows, where one does without anybody's action.
func (l Look) outlook() string {
	if l.Unresolved || l.Suspended() || l.CannotRenew() {
		return ""
	}
	wait := renewal.Latest(l.NotBefore(), l.RetryAt())
	if wait.IsZero() || !wait.After(l.Now) && len(l.Waits) == 0 {
		return ""
	}
	return "; next attempt not before " + renewal.ClockTime(wait) // this stays true while the account waits for its turn
}

// MissingScopes are the scopes that were asked for and not granted.
func (l Look) MissingScopes() []string {
	if l.Unresolved || l.Custody.Tokens == nil {
		return nil
	}
	return l.Request.Platform.MissingScopes(l.Custody.Tokens.Scope)
}
