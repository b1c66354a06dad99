package controller

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// outcomes is the one table from what a failure means to the reason that says who must act.
var outcomes = []struct {
	kind   grant.Kind
	reason string
	// says is the message; %[1]s is the marketplace, %[2]s the cleaned answer, %[3]s the Secret concerned.
	says string
}{
	{grant.GrantRejected, v1alpha1.ReasonGrantRejected,
		"%[1]s refuses the refresh token (%[2]s); it is not tried again until a new one is supplied%[3]s"},
	{grant.PasswordRejected, v1alpha1.ReasonPasswordRejected,
		"%[1]s refuses user name or password (%[2]s); they are not tried again until they change%[3]s"},
	{grant.AccountLocked, v1alpha1.ReasonAccountLocked,
		"%[1]s does not let this login in (%[2]s); unlock it there, then change or annotate the Secret%[3]s"},
	{grant.ApplicationRejected, v1alpha1.ReasonApplicationRejected,
		"%[1]s refuses the application (%[2]s); correct client_id and client_secret%[4]s"},
	{grant.ScopeRejected, v1alpha1.ReasonScopeRejected,
		"%[1]s refuses the scopes (%[2]s); correct spec.scopes, or the application at the marketplace"},
	{grant.InvalidRequest, v1alpha1.ReasonInvalidSpec,
		"%[1]s does not accept the request (%[2]s); correct the account's spec or the Marketplace"},
	{grant.Throttled, v1alpha1.ReasonRateLimited,
		"%[1]s asks for fewer requests (%[2]s)"},
	{grant.Unavailable, v1alpha1.ReasonMarketplaceUnavailable,
		"%[1]s is unavailable: %[2]s"},
	{grant.Malformed, v1alpha1.ReasonMarketplaceUnavailable,
		"%[1]s gave an answer that cannot be used: %[2]s"},
}

func reasonOf(kind grant.Kind) string {
	for _, outcome := range outcomes {
		if outcome.kind == kind {
			return outcome.reason
		}
	}
	return v1alpha1.ReasonMarketplaceUnavailable
}

// kindOf is the failure that a Marketplace means by a reason.
func kindOf(reason string) grant.Kind {
	for _, outcome := range outcomes {
		if outcome.reason == reason {
			return outcome.kind
		}
	}
	return grant.Unavailable
}

// inSecret names the Secret that holds an account's credentials, for the end of a sentence.
func inSecret(account *v1alpha1.MarketplaceAccount) string {
	switch spec := account.Spec.Grant; {
	case spec.Password != nil:
		return fmt.Sprintf(" (Secret %q)", spec.Password.SecretRef.Name)
	case spec.RefreshToken != nil:
		return fmt.Sprintf(" (Secret %q)", spec.RefreshToken.SecretRef.Name)
	}
	return ""
}

// unwritable is the trouble with a Secret that the API server does not let the operator write. Its text is not
// passed on: it may quote what was to be written.
func unwritable(name string, err error) *trouble {
	reason := apierrors.ReasonForError(err)
	switch reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonBadRequest:
		return &trouble{v1alpha1.ReasonSecretConflict, fmt.Sprintf("Secret %q cannot be written, the API server says %s: look for a quota, "+
			"a policy or webhook, missing rights, an immutable Secret or a type with keys of its own", name, reason)}
	}
	return nil // it passes
}

// sentence says what happened and who can mend it.
func sentence(v view, e *grant.Error) string {
	credentials, application := inSecret(v.account), ""
	if name := v.account.Spec.ApplicationSecretRef.Name; name != "" {
		application = fmt.Sprintf(" in Secret %q", name)
	}
	for _, outcome := range outcomes {
		if outcome.kind == e.Kind {
			// The trailing verb of zero width lets a message leave out arguments.
			return fmt.Sprintf(outcome.says+"%[5]s", v.request.platform.DisplayName, e.Error(), credentials, application, "")
		}
	}
	return e.Error()
}
