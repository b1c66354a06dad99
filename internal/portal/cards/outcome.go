package cards

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
)

// outcomeLife is for how long the list tells the outcome of a button that was pressed.
const outcomeLife = 15 * time.Minute

// HandledOf is the last value of a request annotation that the operator acted on.
func HandledOf(account *v1alpha1.MarketplaceAccount, annotation string) string {
	handled := account.Status.Handled
	if handled == nil {
		return ""
	}
	switch annotation {
	case v1alpha1.AnnotationRenew:
		return handled.Renew
	case v1alpha1.AnnotationVerify:
		return handled.Verify
	case v1alpha1.AnnotationSignIn:
		return handled.SignIn
	}
	return ""
}

// isPending tells that an annotation makes a request that the operator has not acted on yet.
func isPending(account *v1alpha1.MarketplaceAccount, annotation string) bool {
	asked := account.Annotations[annotation]
	return asked != "" && asked != HandledOf(account, annotation)
}

// outcome says how the last request ended, or that it is under way; empty when there was none within outcomeLife, or a note tells
// the outcome.
func (t Texts) outcome(account *v1alpha1.MarketplaceAccount, marketplace string, now time.Time) string {
	if said := t.pending(account); said != "" {
		return said
	}
	var last time.Time
	action := ""
	for _, annotation := range []string{v1alpha1.AnnotationRenew, v1alpha1.AnnotationVerify} {
		// The portal writes the time. Any other value does not tell when it was written.
		asked, err := time.Parse(time.RFC3339Nano, account.Annotations[annotation])
		if asked = asked.Truncate(time.Second); err == nil && asked.After(last) && now.Sub(asked) < outcomeLife {
			last, action = asked, annotation
		}
	}
	status := &account.Status
	switch {
	case action == "",
		action == v1alpha1.AnnotationVerify && status.ConnectionTest != nil && !status.ConnectionTest.Time.Time.Before(last):
		return "" // the note on the last test says it
	case status.AccessToken != nil && !status.AccessToken.IssuedTime.Time.Before(last):
		return words.Fill(t.Renewed, "moment", t.When(status.AccessToken.IssuedTime.Time, now))
	case status.LastFailure != nil && !status.LastFailure.Time.Time.Before(last):
		failed := status.LastFailure
		return t.At(marketplace, words.Fill(t.NotRenewed, "moment", t.When(failed.Time.Time, now), "why", t.reason(failed.Reason).Says))
	case action == v1alpha1.AnnotationRenew:
		return words.Fill(t.NothingRenewed, "moment", t.When(last, now))
	}
	return ""
}

// pending names the request under way; empty when there is none.
func (t Texts) pending(account *v1alpha1.MarketplaceAccount) string {
	signIn := ""
	switch account.Spec.Grant.Type {
	case v1alpha1.GrantAuthorizationCode:
		signIn = t.LinkAsked
	case v1alpha1.GrantDeviceCode:
		signIn = t.SignInAsked
	case v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials: // no person signs in
	}
	for _, request := range []struct{ annotation, says string }{
		{v1alpha1.AnnotationSignIn, signIn}, {v1alpha1.AnnotationRenew, t.RenewAsked}, {v1alpha1.AnnotationVerify, t.TestAsked},
	} {
		if request.says != "" && isPending(account, request.annotation) {
			return request.says
		}
	}
	return ""
}
