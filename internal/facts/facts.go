package facts

import (
	"cmp"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Retest is when to repeat a test of the connection that did not reach the marketplace.
const Retest = time.Minute

// Facts are the facts of an account at one moment: all that deciding needs, and values alone.
type Facts struct {
	Account *v1alpha1.MarketplaceAccount
	Custody custody.Custody
	Request Request
	Now     time.Time
	// Holder names this process.
	Holder string
	// CallTimeout is how long a request may take, and AttemptTimeout how long it may with the storing of its answer.
	CallTimeout, AttemptTimeout time.Duration
	// SellerElsewhere tells that another account holds a grant of the same seller and application; looked for where an answer
	// was lost.
	SellerElsewhere bool
	// CodeUsed tells that a poll of the device code had no answer, so that it may have become tokens.
	CodeUsed bool
	// Deferred are the request annotations that wait until the account may have another request, and until when.
	Deferred map[string]time.Time
	// Edited tells that the request that would be sent is another than the one that was sent last, and EditWaits until when an attempt
	// waits that follows an edit; zero when it does not.
	Edited    bool
	EditWaits time.Time
	// AsksAgain tells that it is this account's turn to ask again for its application, which was refused.
	AsksAgain bool
	// TokenRefused tells that the marketplace was seen to refuse the token at hand.
	TokenRefused bool
	// Visiting tells that a browser waits for the result of a sign-in, and RetryTicket is the ticket that it gets, should the sign-in be rejected.
	Visiting    bool
	RetryTicket string
	// Unresolved tells that the objects that the account refers to are not known, or not in order, so that Request is incomplete and the marketplace
	// cannot be asked.
	Unresolved bool
	// AskAgainAt is when the account looks again whether it asks for its application, which was refused; zero when that is in order.
	AskAgainAt time.Time
	// HoldsSecrets tells that grant and token Secret are there and the account's own.
	HoldsSecrets bool
	// NewKey becomes the key of the digests of refusals where Custody has none; nil where none could be drawn.
	NewKey []byte
	// Link is the address of the page where people sign the account in, without a ticket, and ShownTicket the hash of the ticket that they are
	// shown. CallbackURL is the redirect URI to register for the application. Each is empty where there is none.
	Link, ShownTicket, CallbackURL string
	// LinksInSecret tells that links and codes are shown by the sign-in Secret, and not by the status; HoldsSignIn, that the account has that Secret;
	// PlaceTaken, why it cannot have it, since another Secret is in its place: empty where none is.
	LinksInSecret, HoldsSignIn bool
	PlaceTaken                 string
	// Approved tells that a device code has become tokens that are not stored yet, and PollAt when to ask about the device code again, or
	// for one; zero for now.
	Approved bool
	PollAt   time.Time
	// Live tells that Custody was read from the API server, or written, in this look.
	Live bool
	// Fresh tells that Custody holds tokens that have come in this look.
	Fresh bool
	// ClockSkew is how far the clock of the token host is ahead of ours, negative where it is behind, and zero where both agree; that is known
	// where ClockSkewKnown says so.
	ClockSkew      time.Duration
	ClockSkewKnown bool
	// Verified tells that the ID token of the candidate grant was verified in this look.
	Verified bool
}

// RenewalRequested tells whether a person asked for a renewal that was not handled yet. The custody remembers it together
// with the tokens, the status for people.
func (f *Facts) RenewalRequested() bool {
	value := RequestOf(f.Account, v1alpha1.AnnotationRenew)
	handled := f.Account.Status.Handled
	return value != "" && value != f.Custody.HandledRenew && (handled == nil || handled.Renew != value) && !f.waitsToAsk(v1alpha1.AnnotationRenew)
}

// TestRequested tells whether a person asked for a test of the connection that was not handled yet.
func (f *Facts) TestRequested() bool {
	value := RequestOf(f.Account, v1alpha1.AnnotationVerify)
	handled := f.Account.Status.Handled
	return value != "" && (handled == nil || handled.Verify != value) && !f.waitsToAsk(v1alpha1.AnnotationVerify)
}

// RequestOf returns the value of a request annotation, cut to the length that the status can hold.
func RequestOf(account *v1alpha1.MarketplaceAccount, annotation string) string {
	return bounds.Cut(account.Annotations[annotation], bounds.Message)
}

// Suspended tells that the marketplace must not be asked.
func (f *Facts) Suspended() bool {
	return f.Account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended
}

// Failing tells that the last attempt failed in a way that passes by itself. A refusal of the user's refresh token may be on record that the status does not know.
func (f *Facts) Failing() bool {
	failure := f.Account.Status.LastFailure
	if failure == nil || f.FailureOutdated(failure) || f.ImportRefused() && f.Custody.RefusedImport.At.After(failure.Time.Time) {
		return false
	}
	return reasons.Of(failure.Reason).BacksOff
}

// FailureOutdated tells that tokens were stored after a failure: the status, which does not tell of them yet, is older than the custody.
func (f *Facts) FailureOutdated(failure *v1alpha1.FailureStatus) bool {
	tokens, told := f.Custody.Tokens, f.Account.Status.AccessToken
	return tokens != nil && tokens.IssuedAt.After(failure.Time.Time) && (told == nil || !told.IssuedTime.Time.Equal(tokens.IssuedAt))
}

// Usable tells whether there is a token that has not expired.
func (f *Facts) Usable() bool {
	return f.Custody.Tokens != nil && f.Now.Before(f.Custody.Tokens.ExpiresAt)
}

// CanIdentify tells whether a call names the account of the tokens. An application's own tokens have none.
func (f *Facts) CanIdentify() bool {
	return f.Request.Platform.NamesAccount() && f.Request.Grant != v1alpha1.GrantClientCredentials
}

// NextTest is when to repeat a test that did not reach the marketplace, or whose refusal would end the rest of a refresh token;
// zero when there is nothing to repeat.
func (f *Facts) NextTest() time.Time {
	verified := f.Custody.Verified
	again := verified != nil && (verified.Unreachable || verified.Refusals == 1 && f.Custody.Identified && f.Resting())
	if !again || f.Suspended() || !f.Usable() || f.Account.Annotations[v1alpha1.AnnotationVerify] == "" {
		return time.Time{}
	}
	return verified.At.Add(Retest)
}

// testEvery is how often the access token is tested that does not end.
const testEvery = 24 * time.Hour

// Endless tells that the access token at hand does not end by itself, so that nothing but a test tells that it was revoked.
func (f *Facts) Endless() bool {
	return f.Custody.Tokens != nil && f.Custody.Tokens.ExpiresAt.Equal(renewal.Never)
}

// endlessAlone tells that an access token that does not end came without a refresh token, so that nothing can renew it.
func (f *Facts) endlessAlone() bool {
	return f.Endless() && f.Custody.RefreshToken == "" && f.Request.RenewsByRefreshToken()
}

// EndlessRefused tells that the marketplace refuses an access token that does not end, and that no renewal can replace: asked twice.
func (f *Facts) EndlessRefused() bool {
	verified := f.Custody.Verified
	return f.endlessAlone() && verified != nil && verified.Refusals > 1
}

// DailyTest is when an access token that does not end is tested next; zero for another, and where nothing can test it.
func (f *Facts) DailyTest() time.Time {
	if !f.Endless() || f.Suspended() || !f.Request.Platform.CanIdentify() || f.Request.Grant == v1alpha1.GrantClientCredentials || f.EndlessRefused() {
		return time.Time{}
	}
	switch verified := f.Custody.Verified; {
	case verified == nil:
		return f.Custody.Tokens.IssuedAt.Add(testEvery)
	case verified.Refusals == 1:
		return verified.At.Add(Retest)
	case verified.Unreachable:
		return verified.At.Add(time.Hour)
	default:
		return verified.At.Add(testEvery)
	}
}

// NewerCustody is why nothing is decided by the custody; nil when it can be decided by.
func (f *Facts) NewerCustody() error {
	if f.Custody.Version <= tokensecret.CustodyVersion {
		return nil
	}
	return &tokensecret.NewerError{Secret: f.Account.GrantSecretName(), Version: f.Custody.Version}
}

// waitsToAsk tells whether a request waits until the account may have another.
func (f *Facts) waitsToAsk(annotation string) bool { return f.Now.Before(f.Deferred[annotation]) }

// NextRequest is when a request or an edit that waits is acted on; zero when none does.
func (f *Facts) NextRequest() time.Time {
	next := f.EditWaits
	for _, at := range f.Deferred {
		next = renewal.Earliest(next, at)
	}
	return next
}

// SignInAccount is the account in words for the person who signs in.
func (f *Facts) SignInAccount() signin.Account {
	account := signin.Account{
		Namespace:   f.Account.Namespace,
		Name:        f.Account.Name,
		Login:       cmp.Or(f.Account.Spec.Login, f.Custody.Account.Login),
		Marketplace: f.Account.Spec.MarketplaceRef.Name,
		Environment: f.Account.Spec.Environment,
		ExpectedID:  f.ExpectedAccount(),
	}
	if f.Request.Platform != nil {
		account.Marketplace = f.Request.Platform.DisplayName
	}
	return account
}
