package facts

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// SignsIn tells whether the account's grant begins with a person.
func (f *Facts) SignsIn() bool {
	return f.Request.Grant == v1alpha1.GrantDeviceCode || f.Request.Grant == v1alpha1.GrantAuthorizationCode
}

// SignInRequested tells whether a person asked for a new sign-in that was not handled yet.
func (f *Facts) SignInRequested() bool {
	value := RequestOf(f.Account, v1alpha1.AnnotationSignIn)
	handled := f.Account.Status.Handled
	return value != "" && value != f.Custody.HandledSignIn && (handled == nil || handled.SignIn != value) && !f.waitsToAsk(v1alpha1.AnnotationSignIn)
}

// NeedsSignIn tells whether a link or a code should be waiting for a person: since the account gets no tokens without, or
// will not before long, or since a person asked.
func (f *Facts) NeedsSignIn() bool {
	switch {
	case !f.SignsIn(), f.Suspended():
		return false
	case f.SignInRequested():
		return true
	case f.CandidateGrant() != nil: // a person has signed in, and the marketplace has to name the account
		return false
	case f.Custody.SignIn.Requested != "" && RequestOf(f.Account, v1alpha1.AnnotationSignIn) != "":
		return true
	}
	return f.NeedsNewGrant() || len(f.Unconsented()) > 0 || f.AuthorizationEnding()
}

// Unconsented are the scopes that the spec asks for and the person who consented was not asked for.
func (f *Facts) Unconsented() []string {
	if !f.SignsIn() || f.Custody.Asked == nil || f.Custody.RefreshToken == "" {
		return nil
	}
	var more []string
	for _, scope := range f.Request.Platform.Scopes {
		if !slices.Contains(f.Custody.Asked, scope) {
			more = append(more, scope)
		}
	}
	return more
}

// AuthorizationEnding tells that the authorization ends within spec.authorization.warnBefore.
func (f *Facts) AuthorizationEnding() bool {
	_, end := f.AuthorizationTimes()
	return !end.IsZero() && !f.Now.Before(WarnFrom(f.Account, end)) && !f.Prolonged()
}

// Prolonged tells that the next renewal, which is not due yet, moves the end of the authorization.
func (f *Facts) Prolonged() bool {
	tokens := f.Custody.Tokens
	if !f.Request.Platform.AuthorizationSlides || !f.Request.RenewsByRefreshToken() || tokens == nil || !f.Now.Before(tokens.RenewAt) {
		return false
	}
	_, next, last := f.authorizationEnds()
	return last.IsZero() || !next.IsZero() && next.Before(last)
}

// AuthorizationTimes are when the person consented, and when that ends; the zero time where nothing ends.
func (f *Facts) AuthorizationTimes() (granted, end time.Time) {
	granted, next, last := f.authorizationEnds()
	return granted, renewal.Earliest(next, last)
}

// authorizationEnds are when the person consented, when the next renewal must have happened, and the end that none moves.
func (f *Facts) authorizationEnds() (granted, next, last time.Time) {
	custody := f.Custody
	if !f.Request.RenewsByRefreshToken() || custody.RefreshToken == "" || custody.Tokens == nil {
		return time.Time{}, time.Time{}, time.Time{}
	}
	granted = custody.GrantedAt
	if told := f.Request.Imported.GrantedAt; !told.IsZero() && !told.After(f.Now) && custody.Imported == f.Request.Imported.RefreshToken {
		granted = told // also when the user adds it later
	}
	platform := f.Request.Platform
	next = renewal.AuthorizationEnd(custody.AuthorizationExpiresAt, granted, custody.Tokens.IssuedAt,
		platform.AuthorizationLifetime, platform.AuthorizationSlides)
	last = renewal.AuthorizationEnd(custody.AuthorizationMaxExpiresAt, granted, time.Time{}, platform.AuthorizationMaxLifetime, false)
	return granted, next, last
}

// VisitUntil returns when the last person who went to the marketplace must be back; zero when there is none.
func (f *Facts) VisitUntil() time.Time {
	var last time.Time
	for _, visit := range f.Custody.SignIn.Visits {
		if visit.Open(f.Now) && visit.ExpiresAt.After(last) {
			last = visit.ExpiresAt
		}
	}
	return last
}

// defaultWarnBefore is the default of spec.authorization.warnBefore.
const defaultWarnBefore = 336 * time.Hour

// WarnFrom is from when on the end of an authorization is announced: spec.authorization.warnBefore earlier.
func WarnFrom(account *v1alpha1.MarketplaceAccount, ending time.Time) time.Time {
	return ending.Add(-account.Spec.Authorization.WarnBefore.Or(defaultWarnBefore))
}
