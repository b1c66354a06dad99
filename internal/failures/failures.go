// Package failures puts the failure of a request to a marketplace into the reason and the words of a condition. It is the one table from kinds
// of failures to reasons.
package failures

import (
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// Declined is the failure of a sign-in that the person declined.
func Declined(f facts.Facts) facts.Failure {
	failure, _ := Of(f, &answer.Error{Kind: answer.ConsentDenied})
	return failure
}

// Of puts a failure into a condition's reason and words, and tells whether asking again later may help.
func Of(f facts.Facts, failure error) (t facts.Failure, passes bool) {
	e := answer.AsError(failure)
	return facts.Failure{Reason: reasonOf(e.Kind), Message: sentence(f, e)}, e.Passes()
}

// table leads from the kind of a failure to its reason. A device code that has expired has no row: another one takes its place, and nobody is told.
var table = []struct {
	kind   answer.Kind
	reason string
	// says is the message. {answer} is the cleaned answer; {credentials} and {application} name the Secret to look at,
	// {until} tells how a new grant comes, and {again} how another device code does.
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
	{answer.ConsentDenied, v1alpha1.ReasonSignInRequired,
		"The last sign-in at {marketplace} was declined there{again}"},
	{answer.Throttled, v1alpha1.ReasonRateLimited,
		"{marketplace} asks for fewer requests ({answer})"},
	{answer.Unavailable, v1alpha1.ReasonMarketplaceUnavailable,
		"{marketplace} is unavailable: {answer}"},
	{answer.Malformed, v1alpha1.ReasonMarketplaceUnavailable,
		"{marketplace} gave an answer that cannot be used: {answer}"},
}

func reasonOf(kind answer.Kind) string {
	for _, row := range table {
		if row.kind == kind {
			return row.reason
		}
	}
	return v1alpha1.ReasonMarketplaceUnavailable
}

// KindOf is the failure that a Marketplace means by a reason.
func KindOf(reason string) answer.Kind {
	for _, row := range table {
		if row.reason == reason {
			return row.kind
		}
	}
	return answer.Unavailable
}

// keptOut is the message about a login at the platform by an account that does not send one: its refresh token or its application may work again.
const keptOut = "{marketplace} does not let this login in ({answer}); when that is mended there, annotate the account with {request}=<anything new>"

// sentence describes the failure, and the action that cures it.
func sentence(f facts.Facts, e *answer.Error) string {
	request := v1alpha1.AnnotationRenew
	if f.NeedsNewGrant() {
		request = v1alpha1.AnnotationSignIn
	}
	filler := strings.NewReplacer("{marketplace}", f.Request.Platform.DisplayName, "{answer}", e.Error(),
		"{credentials}", facts.InSecret(f.Account), "{application}", facts.InApplicationSecret(f.Account), "{until}", "until "+f.HowToRenewGrant(),
		"{again}", again(f), "{request}", request)
	if (e.Kind == answer.AccountLocked || e.Kind == answer.PasswordRejected) && f.Request.Grant != v1alpha1.GrantPassword {
		return filler.Replace(keptOut)
	}
	for _, row := range table {
		if row.kind == e.Kind {
			return filler.Replace(row.says)
		}
	}
	return e.Error()
}

// again tells how another device code comes; empty where a link follows by itself.
func again(f facts.Facts) string {
	if f.Request.Grant != v1alpha1.GrantDeviceCode {
		return ""
	}
	return "; annotate the account with " + v1alpha1.AnnotationSignIn + "=<anything new> for another code"
}
