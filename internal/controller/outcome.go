package controller

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// outcomes is the one table from what a failure means to the reason that says who must act.
var outcomes = []struct {
	kind   answer.Kind
	reason string
	// says is the message. {answer} is the cleaned answer; {credentials} and {application} name the Secret to look at, and
	// {until} says what brings a new grant.
	says string
}{
	{answer.GrantRejected, v1alpha1.ReasonGrantRejected,
		"{marketplace} refuses the refresh token ({answer}); it is not tried again {until}"},
	{answer.PasswordRejected, v1alpha1.ReasonPasswordRejected,
		"{marketplace} refuses user name or password ({answer}); they are not tried again until they change{credentials}, or their Secret is annotated with " +
			v1alpha1.AnnotationRetry + "=<anything new>"},
	{answer.AccountLocked, v1alpha1.ReasonAccountLocked,
		"{marketplace} does not let this login in ({answer}); when that is mended there, annotate its Secret{credentials} with " +
			v1alpha1.AnnotationRetry + "=<anything new>, or change the password in it"},
	{answer.ApplicationRejected, v1alpha1.ReasonApplicationRejected,
		"{marketplace} refuses the application ({answer}); check client_id and client_secret{application}; " +
			"one account of the application asks again now and then"},
	{answer.ScopeRejected, v1alpha1.ReasonScopeRejected,
		"{marketplace} refuses the scopes ({answer}); correct spec.scopes, or the application at the marketplace"},
	{answer.InvalidRequest, v1alpha1.ReasonInvalidSpec,
		"{marketplace} does not accept the request ({answer}); correct the account's spec or the Marketplace"},
	{answer.CodeExpired, v1alpha1.ReasonSignInRequired,
		"{marketplace} does not know the code any more ({answer})"},
	{answer.ConsentDenied, v1alpha1.ReasonSignInRequired,
		"The last sign-in at {marketplace} was declined there ({answer})"},
	{answer.Throttled, v1alpha1.ReasonRateLimited,
		"{marketplace} asks for fewer requests ({answer})"},
	{answer.Unavailable, v1alpha1.ReasonMarketplaceUnavailable,
		"{marketplace} is unavailable: {answer}"},
	{answer.Malformed, v1alpha1.ReasonMarketplaceUnavailable,
		"{marketplace} gave an answer that cannot be used: {answer}"},
}

func reasonOf(kind answer.Kind) string {
	for _, outcome := range outcomes {
		if outcome.kind == kind {
			return outcome.reason
		}
	}
	return v1alpha1.ReasonMarketplaceUnavailable
}

// kindOf is the failure that a Marketplace means by a reason.
func kindOf(reason string) answer.Kind {
	for _, outcome := range outcomes {
		if outcome.reason == reason {
			return outcome.kind
		}
	}
	return answer.Unavailable
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

// inApplicationSecret names the Secret that holds an account's application, for the end of a phrase.
func inApplicationSecret(account *v1alpha1.MarketplaceAccount) string {
	if name := account.Spec.ApplicationSecretRef.Name; name != "" {
		return fmt.Sprintf(" in Secret %q", name)
	}
	return ""
}

// newGrant says what brings a new grant.
func (v view) newGrant() string {
	if v.signsIn() {
		return "a person signs in again"
	}
	return "a new one is supplied" + inSecret(v.account)
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
func sentence(v view, e *answer.Error) string {
	filler := strings.NewReplacer("{marketplace}", v.request.platform.DisplayName, "{answer}", e.Error(),
		"{credentials}", inSecret(v.account), "{application}", inApplicationSecret(v.account), "{until}", "until "+v.newGrant())
	for _, outcome := range outcomes {
		if outcome.kind == e.Kind {
			return filler.Replace(outcome.says)
		}
	}
	return e.Error()
}
