package controller

import (
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// view is what deciding needs, all of it values.
type view struct {
	account *v1alpha1.MarketplaceAccount
	custody tokensecret.Custody
	request request
	now     time.Time
	// tokenRefused tells that the marketplace was seen to refuse the token at hand.
	tokenRefused bool
}

// newImport tells whether the user brought another refresh token than the one that this chain began with.
func (v view) newImport() bool {
	return v.request.imported.RefreshToken != "" && v.request.imported.RefreshToken != v.custody.Imported
}

// bringing is the refresh token that a new chain begins with; empty while the chain at hand goes on.
func (v view) bringing() string {
	if v.newImport() {
		return v.request.imported.RefreshToken
	}
	return ""
}

// refreshToken is the one to send.
func (v view) refreshToken() string {
	if v.newImport() {
		return v.request.imported.RefreshToken
	}
	return v.custody.RefreshToken
}

// requested tells whether somebody asked for a renewal that was not handled yet.
func (v view) requested() bool {
	value := requestOf(v.account, v1alpha1.AnnotationRenew)
	return value != "" && (v.account.Status.Handled == nil || v.account.Status.Handled.Renew != value)
}

// requestOf returns the value of a request annotation, cut to what the status can hold of it.
func requestOf(account *v1alpha1.MarketplaceAccount, annotation string) string {
	return cut(account.Annotations[annotation], maxMessage)
}

// suspended tells that the marketplace must not be asked.
func (v view) suspended() bool {
	return v.account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended
}

// standing returns the trouble that only a change can cure; nil when asking makes sense.
func (v view) standing() *trouble {
	if v.request.renewsByRefreshToken() && v.refreshToken() == "" {
		return &trouble{v1alpha1.ReasonSignInRequired, fmt.Sprintf(
			"A person must sign in at %s; this version cannot start a sign-in: use grant RefreshToken", v.request.platform.DisplayName)}
	}
	if id, want := v.custody.Account.ID, v.account.Spec.AccountID; id != "" && want != "" && id != want && !v.changed() {
		return mismatch(id, want)
	}
	if refused := v.custody.Refused; refused != nil && v.stands(refused) {
		return &trouble{refused.Reason, refused.Message}
	}
	return nil
}

func mismatch(got, want string) *trouble {
	return &trouble{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("The tokens belong to account %s, expected is %s; "+
		"use the credentials of the expected account, or correct spec.accountID", got, want)}
}

// stands tells whether a refusal still holds: nothing that could cure it has changed since.
func (v view) stands(refused *tokensecret.Refused) bool {
	was, is := refused.Inputs, v.request.inputs
	switch refused.Reason {
	case v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked:
		// Nothing but the Secret counts, not even a request: platforms lock accounts after a few attempts.
		return was.Credentials == is.Credentials
	case v1alpha1.ReasonGrantRejected:
		return was.Credentials == is.Credentials && was.Application == is.Application
	case v1alpha1.ReasonRenewalOutcomeUnknown:
		return v.spend() != spendFresh // as long as the token to send is the one that was sent
	case v1alpha1.ReasonAccountMismatch:
		return was.Credentials == is.Credentials && was.Spec == is.Spec
	case v1alpha1.ReasonApplicationRejected:
		return was.Application == is.Application && was.Marketplace == is.Marketplace && !v.requested()
	}
	return was == is && !v.requested()
}

// changed tells whether the tokens at hand were obtained for something else than what is asked for today.
func (v view) changed() bool {
	return v.newImport() || v.custody.Tokens != nil && v.custody.Tokens.For != v.request.key
}

// plan decides whether to ask now.
func (v view) plan() renewal.Plan {
	held := renewal.Held{
		// What failed is tried until it succeeds, whether or not the tokens at hand are due by themselves; and a
		// refusal that does not stand any more calls for an attempt now.
		Changed: v.changed() || v.failing() || v.custody.Refused != nil || v.tokenRefused,
	}
	if tokens := v.custody.Tokens; tokens != nil {
		held.ExpiresAt, held.RenewAt = tokens.ExpiresAt, tokens.RenewAt
	}
	return renewal.Decide(held, renewal.Demand{
		Requested: v.requested(),
		Suspended: v.suspended(),
		Refused:   v.standing() != nil,
		RetryAt:   v.retryAt(),
		NotBefore: v.custody.NotBefore,
	}, v.now)
}

// retryAt is the end of the backoff after failures that pass by themselves; zero when there is none. A changed
// spec is not made to wait.
func (v view) retryAt() time.Time {
	if !v.failing() || v.account.Status.ObservedGeneration != v.account.Generation {
		return time.Time{}
	}
	failure := v.account.Status.LastFailure
	return renewal.RetryAt(failure.Time.UTC(), failure.Count, renewal.Spread(string(v.account.UID)))
}

// failing tells that the last attempt failed in a way that passes by itself.
func (v view) failing() bool {
	failure := v.account.Status.LastFailure
	return failure != nil && v.custody.Refused == nil && !v.outdated(failure)
}

// outdated tells that tokens were stored after a failure: the status is older than the custody.
func (v view) outdated(failure *v1alpha1.FailureStatus) bool {
	return v.custody.Tokens != nil && v.custody.Tokens.IssuedAt.After(failure.Time.Time)
}

// spending tells how to go about a single-use refresh token that the journal says was sent before.
type spending int

const (
	spendFresh     spending = iota // no attempt is on record
	spendInGrace                   // a spent token still works
	spendLastTime                  // it may not work any more, but trying once does no harm
	spendForbidden                 // trying would count as theft
)

// spend reads the journal.
func (v view) spend() spending {
	journal := v.custody.Journal
	grace := v.request.platform.ReuseGrace
	switch {
	case journal == nil || journal.Imported != v.bringing():
		return spendFresh
	case grace <= 0:
		return spendForbidden
	case v.now.Sub(journal.StartedAt) <= grace:
		return spendInGrace
	case !journal.Retried:
		return spendLastTime
	}
	return spendForbidden
}
