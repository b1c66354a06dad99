package controller

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// defaultWarnBefore is the default of spec.authorization.warnBefore.
const defaultWarnBefore = 336 * time.Hour

// report puts what was found into the account's status. It is the only place that does.
func (f *found) report(account *v1alpha1.MarketplaceAccount) {
	status := &account.Status
	f.reportFailure(status)
	status.ObservedGeneration = account.Generation
	f.reportHandled(account)
	f.reportTokens(account)
	f.reportTest(status)
	f.settle(status)
	ending := f.reportAuthorization(status)
	f.reportApplication(status)
	f.reportSignIn(status)
	f.reportConditions(account, ending)
}

// reportFailure counts an attempt that failed, and forgets it after one that did not.
func (f *found) reportFailure(status *v1alpha1.MarketplaceAccountStatus) {
	switch last := status.LastFailure; {
	case f.failed:
		count := int32(1)
		if last != nil && !f.outdated(last) {
			count = min(last.Count, math.MaxInt32-1) + 1
		}
		status.LastFailure = &v1alpha1.FailureStatus{
			Time: metav1.NewTime(f.now), Reason: f.trouble.reason, Message: bounded(f.trouble.message), Count: count,
		}
	case f.obtained, last != nil && f.outdated(last):
		status.LastFailure = nil
	}
}

// settle finds the trouble that stands when this look brought none to light.
func (f *found) settle(status *v1alpha1.MarketplaceAccountStatus) {
	if f.trouble != nil || f.unresolved {
		return
	}
	f.trouble = f.standing()
	switch {
	case f.suspended() && f.needsNewGrant():
		f.trouble = &trouble{v1alpha1.ReasonSuspended, "A person must sign in, and spec.renewal.policy is Suspended; set it to Automatic for a link"}
	case f.trouble != nil && f.trouble.reason == v1alpha1.ReasonSignInRequired && !f.visiting().IsZero():
		f.trouble = &trouble{v1alpha1.ReasonSignInPending, fmt.Sprintf("A person is signing in at %s, until %s at the latest",
			f.request.platform.DisplayName, clockTime(f.visiting()))}
	case f.trouble != nil:
	case f.suspended() && (!f.usable() || f.changed()):
		f.trouble = &trouble{v1alpha1.ReasonSuspended, "There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"}
	case status.LastFailure != nil && (f.failing() || f.custody.Refused != nil):
		f.trouble = &trouble{status.LastFailure.Reason, status.LastFailure.Message}
	case !f.nextTest().IsZero():
		f.trouble = &trouble{v1alpha1.ReasonMarketplaceUnavailable, fmt.Sprintf("%s: %s", f.request.platform.DisplayName, f.custody.Verified.Failure)}
	}
}

func (f *found) reportHandled(account *v1alpha1.MarketplaceAccount) {
	value := requestOf(account, v1alpha1.AnnotationRenew)
	f.handledRenew = f.handledRenew || value != "" && value == f.custody.HandledRenew
	signIn := requestOf(account, v1alpha1.AnnotationSignIn)
	f.handledSignIn = f.handledSignIn || signIn != "" && signIn == f.custody.HandledSignIn
	if !f.handledRenew && !f.handledVerify && !f.handledSignIn {
		return
	}
	if account.Status.Handled == nil {
		account.Status.Handled = &v1alpha1.HandledStatus{}
	}
	if f.handledRenew {
		account.Status.Handled.Renew = value
	}
	if f.handledVerify {
		account.Status.Handled.Verify = requestOf(account, v1alpha1.AnnotationVerify)
	}
	if f.handledSignIn {
		account.Status.Handled.SignIn = signIn
	}
}

func (f *found) reportTokens(account *v1alpha1.MarketplaceAccount) {
	status := &account.Status
	status.Account = nil
	if !f.servedUntil.IsZero() {
		status.TokenSecretName = account.TokenSecretName()
	}
	tokens := f.custody.Tokens
	switch {
	case tokens != nil:
		status.AccessToken = &v1alpha1.AccessTokenStatus{
			Serial:         f.custody.Serial,
			IssuedTime:     metav1.NewTime(tokens.IssuedAt),
			ExpirationTime: metav1.NewTime(tokens.ExpiresAt),
			RenewalTime:    metav1.NewTime(tokens.RenewAt),
		}
		if !f.unresolved && f.grantRefused() {
			status.AccessToken.RenewalTime = metav1.Time{}
		}
	case f.custody.Serial > 0:
		if status.AccessToken == nil {
			status.AccessToken = &v1alpha1.AccessTokenStatus{}
		}
		status.AccessToken.Serial = f.custody.Serial // what is told of the last token stays
	}
	if tokens == nil && f.custody.Account.ID == "" {
		return
	}
	login := f.custody.Account.Login
	if login == "" {
		login = account.Spec.Login
	}
	if f.custody.Account.ID != "" || login != "" {
		status.Account = &v1alpha1.AccountStatus{ID: bounds.Cut(f.custody.Account.ID, bounds.Name), Login: bounds.Cut(login, bounds.Name)}
	}
}

// reportTest tells how the last test of the connection went.
func (f *found) reportTest(status *v1alpha1.MarketplaceAccountStatus) {
	status.ConnectionTest = nil
	verified := f.custody.Verified
	if verified == nil || !f.usable() || f.refusedSince(verified.At) {
		return
	}
	test := &v1alpha1.ConnectionTestStatus{Time: metav1.NewTime(verified.At), Result: v1alpha1.ConnectionTestPassed, Message: bounded(verified.Failure)}
	switch {
	case verified.Unsupported:
		test.Result = v1alpha1.ConnectionTestUnsupported
	case verified.Failure != "":
		test.Result = v1alpha1.ConnectionTestFailed
	}
	status.ConnectionTest = test
}

// refusedSince tells that the marketplace has refused the grant, or what renews it, after a moment: what was true of it then is not
// any more.
func (f *found) refusedSince(at time.Time) bool {
	refused := f.custody.Refused
	return refused != nil && (f.unresolved || f.stands(refused)) && !refused.At.Before(at)
}

// reportAuthorization counts down what a person must renew, and returns its end; zero where nothing ends.
func (f *found) reportAuthorization(status *v1alpha1.MarketplaceAccountStatus) time.Time {
	if f.unresolved {
		if status.Authorization == nil {
			return time.Time{}
		}
	} else {
		status.Authorization = f.authorization()
	}
	if status.Authorization == nil {
		return time.Time{}
	}
	end := status.Authorization.ExpirationTime.UTC()
	status.Authorization.DaysRemaining = nil
	if !f.renewsItself() {
		status.Authorization.DaysRemaining = new(renewal.Days(end, f.now))
	}
	return end
}

// renewsItself tells that nobody has to mind the end of the authorization: each renewal moves it, and renewals go well.
func (f *found) renewsItself() bool {
	return !f.unresolved && !f.suspended() && f.trouble == nil && f.prolonged()
}

// grantRefused tells that the marketplace does not honour the refresh token any more, whatever end it has named before.
func (v view) grantRefused() bool {
	refused := v.custody.Refused
	return v.request.renewsByRefreshToken() && refused != nil && refused.Reason == v1alpha1.ReasonGrantRejected && v.stands(refused)
}

func (f *found) authorization() *v1alpha1.AuthorizationStatus {
	granted, end := f.authorizationTimes()
	if end.IsZero() || f.grantRefused() {
		return nil
	}
	return &v1alpha1.AuthorizationStatus{
		GrantedTime:    metav1.NewTime(renewal.Representable(granted)),
		ExpirationTime: metav1.NewTime(renewal.Representable(end)),
	}
}

// reportApplication counts down the life of the client secret: to the end that its Secret names, else by the platform's
// rule from when it was put there.
func (f *found) reportApplication(status *v1alpha1.MarketplaceAccountStatus) {
	if f.unresolved {
		return
	}
	status.Application = nil
	application := f.request.application
	end := application.SecretExpiresAt
	if lifetime := f.request.platform.ApplicationSecretLifetime; end.IsZero() && lifetime > 0 && !application.SecretNeverExpires {
		end = f.clientSecretSince().Add(lifetime)
	}
	if end.IsZero() {
		return
	}
	status.Application = &v1alpha1.ApplicationStatus{
		SecretExpirationTime: metav1.NewTime(renewal.Representable(end)),
		DaysRemaining:        new(renewal.Days(end, f.now)),
	}
}

// reportSignIn says where to sign in, while somebody has to.
func (f *found) reportSignIn(status *v1alpha1.MarketplaceAccountStatus) {
	if f.invited {
		status.SignIn = f.invitation
	}
}

func (f *found) reportConditions(account *v1alpha1.MarketplaceAccount, ending time.Time) {
	for _, condition := range []metav1.Condition{
		f.ready(), f.authenticated(account, ending), f.reauthRequired(ending), f.expiring(account, ending),
	} {
		condition.ObservedGeneration = account.Generation
		condition.LastTransitionTime = metav1.NewTime(f.now)
		condition.Message = bounded(condition.Message)
		meta.SetStatusCondition(&account.Status.Conditions, condition)
	}
	f.reportStalled(account)
}

// ready is True while the token Secret holds an unexpired token for this spec, whatever else is wrong.
func (f *found) ready() metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	current := f.unresolved || !f.outOfDate() && !f.misfit()
	switch {
	case f.now.Before(f.servedUntil) && current:
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonTokenValid
		condition.Message = fmt.Sprintf("The token is valid until %s", clockTime(f.servedUntil)) + f.withheld + f.endNote()
	case f.trouble != nil:
		condition.Reason, condition.Message = f.trouble.reason, f.trouble.message
	default:
		condition.Reason, condition.Message = v1alpha1.ReasonRenewing, "A token is being obtained"
	}
	return condition
}

// notAsked are the reasons for which the marketplace's opinion of the grant is not known.
var notAsked = []string{
	v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonRenewalOutcomeUnknown, v1alpha1.ReasonSuspended,
	v1alpha1.ReasonSecretConflict,
}

func (f *found) authenticated(account *v1alpha1.MarketplaceAccount, ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionAuthenticated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid}
	granted := f.custody.Tokens != nil
	switch {
	case f.trouble == nil && !granted:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionUnknown, v1alpha1.ReasonRenewing, "A token is being obtained"
	case f.trouble == nil:
		condition.Message = f.asWhom(account, ending)
		f.warn(&condition)
	default:
		condition.Status, condition.Reason = metav1.ConditionFalse, f.trouble.reason
		condition.Message = f.trouble.message + f.outlook()
		if f.unresolved || slices.Contains(notAsked, f.trouble.reason) {
			condition.Status = metav1.ConditionUnknown
		}
	}
	return condition
}

// warn adds what is not as it should be to a grant that works.
func (f *found) warn(condition *metav1.Condition) {
	if missing := f.missingScopes(); len(missing) > 0 {
		condition.Reason = v1alpha1.ReasonScopesReduced
		condition.Message += ", without the scopes " + strings.Join(missing, ", ")
	}
	if f.duplicateOf != "" {
		condition.Reason = v1alpha1.ReasonDuplicateAccount
		condition.Message += "; " + f.duplicateOf + " holds tokens of the same account"
	}
	if f.unresolved {
		return
	}
	if unreadable := f.request.unreadable; unreadable != nil {
		condition.Reason = unreadable.reason
		condition.Message += "; what was supplied since then is not used: " + unreadable.message
	}
	if refused := f.signInRefused(); refused != nil {
		if refused.Reason == v1alpha1.ReasonAccountMismatch {
			condition.Reason = refused.Reason
		}
		condition.Message += "; the last sign-in was not used: " + refused.Message
	}
}

// asWhom is the sentence that people look for.
func (f *found) asWhom(account *v1alpha1.MarketplaceAccount, ending time.Time) string {
	text := "Authenticated"
	if who := account.Status.Account; who != nil {
		switch {
		case who.Login != "" && who.ID != "":
			text += fmt.Sprintf(" as %s (%s)", who.Login, who.ID)
		default:
			text += " as " + who.Login + who.ID
		}
	}
	switch {
	case ending.IsZero():
	case f.renewsItself():
		text += ", authorization renews itself"
	default:
		text += ", authorization " + inDays(ending, f.now)
	}
	if verified := f.custody.Verified; verified != nil {
		text += ", connection tested at " + clockTime(verified.At)
		if verified.Failure != "" {
			text += ": " + verified.Failure
		}
	}
	return text
}

// outlook says when the next attempt follows, where one does without anybody's action.
func (f *found) outlook() string {
	if f.unresolved || f.suspended() || f.blocked() {
		return ""
	}
	wait := f.notBefore()
	if retry := f.retryAt(); retry.After(wait) {
		wait = retry
	}
	if wait.IsZero() || !wait.After(f.now) && len(f.waits) == 0 {
		return ""
	}
	return "; next attempt not before " + clockTime(wait) // which stays true while the account waits for its turn
}

// missingScopes are those that were asked for and not granted.
func (f *found) missingScopes() []string {
	if f.unresolved || f.custody.Tokens == nil {
		return nil
	}
	return f.request.platform.MissingScopes(f.custody.Tokens.Scope)
}

// personActs are the reasons that nothing but a person's action cures.
var personActs = []string{
	v1alpha1.ReasonSignInRequired, v1alpha1.ReasonSignInPending, v1alpha1.ReasonAuthorizationExpired, v1alpha1.ReasonGrantRejected,
	v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked, v1alpha1.ReasonAccountMismatch,
	v1alpha1.ReasonRenewalOutcomeUnknown, v1alpha1.ReasonPortalNotConfigured,
}

func (f *found) reauthRequired(ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReauthRequired, Status: metav1.ConditionTrue}
	switch {
	case f.trouble != nil && slices.Contains(personActs, f.trouble.reason):
		condition.Reason, condition.Message = f.trouble.reason, f.trouble.message+f.howToSignIn()
	case !f.unresolved && !f.suspended() && f.needsNewGrant(): // something else is in the way of a sign-in, too
		dead := f.deadGrant()
		condition.Reason, condition.Message = dead.reason, dead.message+f.howToSignIn()
		if f.trouble != nil {
			condition.Message += "; " + f.trouble.message
		}
	case !ending.IsZero() && !f.now.Before(ending):
		condition.Reason = v1alpha1.ReasonAuthorizationExpired
		condition.Message = fmt.Sprintf("The authorization ended on %s; authorize the account again%s", date(ending), f.howToSignIn())
	case !f.unresolved && len(f.unconsented()) > 0:
		condition.Reason, condition.Message = v1alpha1.ReasonSignInRequired, f.moreScopes()+f.howToSignIn()
	default:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "No sign-in is needed"
	}
	return condition
}

func (f *found) expiring(account *v1alpha1.MarketplaceAccount, ending time.Time) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionAuthorizationExpiring, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotRequired,
		Message: "The authorization does not end by itself",
	}
	switch {
	case ending.IsZero() && f.unauthorized() != nil:
		nothing := f.unauthorized()
		condition.Status, condition.Reason = metav1.ConditionUnknown, nothing.reason
		condition.Message = "There is no authorization whose end is known: " + nothing.message
	case ending.IsZero():
	case !f.now.Before(ending):
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpired
		condition.Message = fmt.Sprintf("The authorization ended on %s; authorize the account again", date(ending)) + f.howToSignIn()
	case !f.unresolved && f.prolonged():
		condition.Message = fmt.Sprintf("Each renewal prolongs the authorization; without one it ends on %s", date(ending))
	case !f.now.Before(warnFrom(account, ending)):
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring
		condition.Message = fmt.Sprintf("The authorization %s, on %s; authorize the account again before that%s",
			inDays(ending, f.now), date(ending), f.howToSignIn())
	default:
		condition.Message = fmt.Sprintf("The authorization ends on %s", date(ending))
	}
	if f.custody.AuthorizationEndUnreadable {
		condition.Message += "; the marketplace tells the end in a way that cannot be read, so refreshToken.lifetime of the Marketplace counts"
	}
	return condition
}

// unauthorized is why the account has no authorization, or none that the marketplace honours; nil where it has one, or needs none.
func (f *found) unauthorized() *trouble {
	switch {
	case f.unresolved:
		if f.custody.Tokens == nil {
			return f.trouble
		}
		return nil
	case !f.request.renewsByRefreshToken():
		return nil
	case f.grantRefused():
		return &trouble{f.custody.Refused.Reason, f.custody.Refused.Message}
	case f.custody.RefreshToken != "":
		return nil
	case f.trouble != nil:
		return f.trouble
	}
	return &trouble{v1alpha1.ReasonRenewing, "a token is being obtained"}
}

func warnFrom(account *v1alpha1.MarketplaceAccount, ending time.Time) time.Time {
	return ending.Add(-account.Spec.Authorization.WarnBefore.Or(defaultWarnBefore))
}

// next tells when to look again: at the next renewal or retry, at the turn of a day, when a warning begins; zero for never.
// invited is when to look after what waits for a person; zero for never.
func (f *found) next(account *v1alpha1.MarketplaceAccount, invited time.Time) time.Time {
	var look time.Time
	if f.unresolved {
		if f.usable() {
			look = f.custody.Tokens.ExpiresAt
		}
	} else {
		plan := f.plan()
		look = plan.Look
		if plan.Due { // it is left to another process for a while, or something came due while we worked
			look = latest(f.postponed, f.now.Add(time.Second))
		}
		if f.recheck > 0 {
			look = renewal.Earliest(look, f.now.Add(f.recheck))
		}
		look = f.whileWaiting(renewal.Earliest(look, f.nextTest(), invited, ahead(f.nextRequest(), f.now), ahead(f.askAgainAt, f.now)))
		if f.waitsToTest {
			look = renewal.Earliest(look, f.now.Add(lookWaiting))
		}
	}
	look = renewal.Earliest(look, ahead(f.servedUntil, f.now)) // which may be a token that the custody does not hold any more
	if authorization := account.Status.Authorization; authorization != nil {
		end := authorization.ExpirationTime.UTC()
		if authorization.DaysRemaining != nil {
			look = renewal.Earliest(look, renewal.NextDay(end, f.now))
		}
		look = renewal.Earliest(look, ahead(warnFrom(account, end), f.now))
	}
	if application := account.Status.Application; application != nil {
		look = renewal.Earliest(look, renewal.NextDay(application.SecretExpirationTime.UTC(), f.now))
	}
	return look
}

// after makes the work queue wait until then, by a clock that is not cut to seconds; zero means for an event.
func after(now, look time.Time) reconcile.Result {
	if look.IsZero() {
		return reconcile.Result{}
	}
	wait := time.Second
	if look.After(now) {
		wait = look.Sub(now)
	}
	return reconcile.Result{RequeueAfter: wait, Priority: new(priorityScheduled)}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ahead returns t if it is still to come, else zero.
func ahead(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}

func bounded(message string) string {
	if len(message) <= bounds.Message {
		return message
	}
	return bounds.Cut(message, bounds.Message-len("…")) + "…"
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func date(t time.Time) string { return t.UTC().Format("2006-01-02") }

// inDays says when something ends, as a person would.
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
