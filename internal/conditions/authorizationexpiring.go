package conditions

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// authorizationExpiring is True when the authorization ends within spec.authorization.warnBefore.
func (l Look) authorizationExpiring(ending time.Time) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionAuthorizationExpiring, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotRequired,
		Message: "The authorization does not end by itself",
	}
	missing := l.unauthorized()
	switch {
	case ending.IsZero() && missing != nil:
		condition.Status, condition.Reason = metav1.ConditionUnknown, missing.Reason
		condition.Message = "There is no authorization whose end is known: " + missing.Message
	case ending.IsZero():
	case !l.Now.Before(ending):
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpired, l.ended(ending)
	case !l.Unresolved && l.Prolonged():
		condition.Message = fmt.Sprintf("Each renewal prolongs the authorization; without one it ends on %s", renewal.Date(ending))
	case !l.Now.Before(facts.WarnFrom(l.Account, ending)):
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring
		condition.Message = fmt.Sprintf("The authorization %s, on %s; authorize the account again before that%s",
			inDays(ending, l.Now), renewal.Date(ending), l.howToSignIn())
	default:
		condition.Message = fmt.Sprintf("The authorization ends on %s", renewal.Date(ending))
	}
	if l.Custody.AuthorizationEndUnreadable {
		condition.Message += "; the marketplace tells the end in a way that cannot be read, so refreshToken.lifetime of the Marketplace counts"
	}
	return condition
}

// unauthorized is why the account has no authorization, or none that the marketplace honours; nil where it has one, or needs none.
func (l Look) unauthorized() *facts.Failure {
	switch {
	case l.Unresolved:
		if l.Custody.Tokens == nil {
			return l.Failure
		}
		return nil
	case !l.Request.RenewsByRefreshToken():
		return nil
	case l.GrantRefused():
		return &facts.Failure{Reason: l.Custody.Refused.Reason, Message: l.Custody.Refused.Message}
	case l.Custody.RefreshToken != "":
		return nil
	case l.Failure != nil:
		return l.Failure
	}
	return &facts.Failure{Reason: v1alpha1.ReasonRenewing, Message: "a token is being obtained"}
}

// ended says that an authorization has ended, and how to authorize the account again.
func (l Look) ended(ending time.Time) string {
	return fmt.Sprintf("The authorization ended on %s; authorize the account again%s", renewal.Date(ending), l.howToSignIn())
}

// reportAuthorization counts down to the end of the authorization, which a person must renew, and returns that end; zero where nothing ends.
func (l Look) reportAuthorization() time.Time {
	status := &l.Account.Status
	if !l.Unresolved {
		status.Authorization = l.authorization()
	}
	if status.Authorization == nil {
		return time.Time{}
	}
	end := status.Authorization.ExpirationTime.UTC()
	status.Authorization.DaysRemaining = nil
	if !l.renewsItself() {
		status.Authorization.DaysRemaining = new(renewal.Days(end, l.Now))
	}
	return end
}

// renewsItself tells that no person has to mind the end of the authorization: each renewal moves it, and renewals go well.
func (l Look) renewsItself() bool {
	return !l.Unresolved && !l.Suspended() && l.Failure == nil && l.Prolonged()
}

// authorization tells when the person consented and when that ends; nil where nothing ends, or the marketplace has refused the grant.
func (l Look) authorization() *v1alpha1.AuthorizationStatus {
	granted, end := l.AuthorizationTimes()
	if end.IsZero() || l.GrantRefused() {
		return nil
	}
	return &v1alpha1.AuthorizationStatus{
		GrantedTime:    metav1.NewTime(renewal.Representable(granted)),
		ExpirationTime: metav1.NewTime(renewal.Representable(end)),
	}
}

// inDays says when an authorization ends, as a person would.
func inDays(end, now time.Time) string {
	switch days := renewal.Days(end, now); {
	case !now.Before(end):
		return "has expired"
	case days == 1:
		return "expires within a day"
	case days == renewal.MaxDays:
		return fmt.Sprintf("expires in more than %d days", days)
	default:
		return fmt.Sprintf("expires in %d days", days)
	}
}
