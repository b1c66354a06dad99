package conditions

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// reauthRequired is True while nothing more happens until a person acts, and while scopes are asked for that no person has consented to.
func (l Look) reauthRequired(ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReauthRequired, Status: metav1.ConditionTrue}
	switch {
	case l.Failure != nil && reasons.Of(l.Failure.Reason).ReauthRequired:
		condition.Reason, condition.Message = l.Failure.Reason, l.Failure.Message+l.howToSignIn()
	case !l.Unresolved && !l.Suspended() && l.NeedsNewGrant(): // another failure is in the way of a sign-in, too
		dead := l.DeadGrant()
		condition.Reason, condition.Message = dead.Reason, dead.Message+l.howToSignIn()
		if l.Failure != nil {
			condition.Message += "; " + l.Failure.Message
		}
	case !ending.IsZero() && !l.Now.Before(ending):
		condition.Reason, condition.Message = v1alpha1.ReasonAuthorizationExpired, l.ended(ending)
	case !l.Unresolved && len(l.Unconsented()) > 0:
		condition.Reason = v1alpha1.ReasonSignInRequired
		condition.Message = "Nobody has consented to the scopes " + strings.Join(l.Unconsented(), ", ") +
			" yet: the token is without them until a person signs in again" + l.howToSignIn()
	default:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "No sign-in is needed"
	}
	return condition
}

// howToSignIn ends a sentence about a sign-in that is needed.
func (l Look) howToSignIn() string {
	switch invitation := l.Invitation; {
	case invitation == nil && l.Request.Platform == nil:
		return "" // the account's own failure says what is missing
	case invitation == nil && l.SignsIn() && l.Custody.SignIn.Device == nil && l.Custody.SignIn.Ended != nil:
		return l.whyNoCode()
	case invitation == nil && l.SignsIn() && l.Unattended():
		return fmt.Sprintf("; nobody used the last %d codes%s", facts.MaxUnattended, askForCode)
	case invitation == nil && l.NoPortal:
		return "; there is no page to start from: run the operator with --portal-url"
	case invitation == nil && l.NotShown != "" && (l.Failure == nil || l.Failure.Message != l.NotShown):
		return "; no link or code can be shown: " + l.NotShown
	case invitation == nil:
		return ""
	case l.LinksInSecret:
		shown := "the link"
		if l.Request.Grant == v1alpha1.GrantDeviceCode {
			shown = "the link and the code"
		}
		return fmt.Sprintf("; sign in at %s by %s in Secret %q before %s",
			invitation.URL, shown, l.Account.SignInSecretName(), renewal.ClockTime(invitation.ExpirationTime.Time))
	case invitation.UserCode != "":
		return fmt.Sprintf("; sign in at %s, check that it shows the code %s or enter it where it asks for one, before %s",
			invitation.URL, invitation.UserCode, renewal.ClockTime(invitation.ExpirationTime.Time))
	default:
		return fmt.Sprintf("; sign in at %s before %s", invitation.URL, renewal.ClockTime(invitation.ExpirationTime.Time))
	}
}

// askForCode says how to have another code, where none is asked for without it.
const askForCode = ": annotate the account with " + v1alpha1.AnnotationSignIn + "=<anything new> for another"

// whyNoCode says that the platform ends its codes early.
func (l Look) whyNoCode() string {
	ended := l.Custody.SignIn.Ended
	text := fmt.Sprintf("; %s ended the code before it could be used", l.Request.Platform.DisplayName)
	if ended.Count > 1 {
		text = fmt.Sprintf("; %s ended each of the last %d codes before it could be used", l.Request.Platform.DisplayName, ended.Count)
	}
	text += " (" + ended.Why + ")"
	switch next := l.NextCode(); {
	case l.Unattended():
		text += askForCode
	case l.Now.Before(next):
		text += ": the next one follows at " + renewal.ClockTime(next)
	}
	return text
}
