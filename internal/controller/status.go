package controller

import (
	"fmt"
	"math"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

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
	case f.Attempted:
		count := int32(1)
		if last != nil && !f.FailureOutdated(last) {
			count = min(last.Count, math.MaxInt32-1) + 1
		}
		status.LastFailure = &v1alpha1.FailureStatus{
			Time: metav1.NewTime(f.Now), Reason: f.Failure.Reason, Message: bounded(f.Failure.Message), Count: count,
		}
	case f.Obtained, last != nil && f.FailureOutdated(last):
		status.LastFailure = nil
	}
}

// settle finds the trouble that stands when this look brought none to light.
func (f *found) settle(status *v1alpha1.MarketplaceAccountStatus) {
	if f.Failure != nil || f.Unresolved {
		return
	}
	f.Failure = f.PermanentFailure()
	switch {
	case f.Suspended() && f.NeedsNewGrant():
		f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonSuspended, Message: "A person must sign in, and spec.renewal.policy is Suspended; set it to Automatic for a link"}
	case f.Failure != nil && reasons.Of(f.Failure.Reason).AwaitsSignIn && !f.VisitUntil().IsZero():
		f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonSignInPending, Message: fmt.Sprintf("A person is signing in at %s, until %s at the latest",
			f.Request.Platform.DisplayName, lifecycle.ClockTime(f.VisitUntil()))}
	case f.Failure != nil:
	case f.Suspended() && (!f.Usable() || f.Changed()):
		f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonSuspended, Message: "There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"}
	case status.LastFailure != nil && (f.Failing() || f.Custody.Refused != nil):
		f.Failure = &lifecycle.Failure{Reason: status.LastFailure.Reason, Message: status.LastFailure.Message}
	case !f.NextTest().IsZero():
		f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("%s: %s", f.Request.Platform.DisplayName, f.Custody.Verified.Failure)}
	}
}

func (f *found) reportHandled(account *v1alpha1.MarketplaceAccount) {
	value := lifecycle.RequestOf(account, v1alpha1.AnnotationRenew)
	f.HandledRenew = f.HandledRenew || value != "" && value == f.Custody.HandledRenew
	signIn := lifecycle.RequestOf(account, v1alpha1.AnnotationSignIn)
	f.HandledSignIn = f.HandledSignIn || signIn != "" && signIn == f.Custody.HandledSignIn
	if !f.HandledRenew && !f.HandledVerify && !f.HandledSignIn {
		return
	}
	if account.Status.Handled == nil {
		account.Status.Handled = &v1alpha1.HandledStatus{}
	}
	if f.HandledRenew {
		account.Status.Handled.Renew = value
	}
	if f.HandledVerify {
		account.Status.Handled.Verify = lifecycle.RequestOf(account, v1alpha1.AnnotationVerify)
	}
	if f.HandledSignIn {
		account.Status.Handled.SignIn = signIn
	}
}

func (f *found) reportTokens(account *v1alpha1.MarketplaceAccount) {
	status := &account.Status
	status.Account = nil
	if !f.ServedUntil.IsZero() {
		status.TokenSecretName = account.TokenSecretName()
	}
	tokens := f.Custody.Tokens
	switch {
	case tokens != nil:
		status.AccessToken = &v1alpha1.AccessTokenStatus{
			Serial:         f.Custody.Serial,
			IssuedTime:     metav1.NewTime(tokens.IssuedAt),
			ExpirationTime: metav1.NewTime(tokens.ExpiresAt),
			RenewalTime:    metav1.NewTime(tokens.RenewAt),
		}
		if !f.Unresolved && f.GrantRefused() {
			status.AccessToken.RenewalTime = metav1.Time{}
		}
	case f.Custody.Serial > 0:
		if status.AccessToken == nil {
			status.AccessToken = &v1alpha1.AccessTokenStatus{}
		}
		status.AccessToken.Serial = f.Custody.Serial // what is told of the last token stays
	}
	if tokens == nil && f.Custody.Account.ID == "" {
		return
	}
	login := f.Custody.Account.Login
	if login == "" {
		login = account.Spec.Login
	}
	if f.Custody.Account.ID != "" || login != "" {
		status.Account = &v1alpha1.AccountStatus{ID: bounds.Cut(f.Custody.Account.ID, bounds.Name), Login: bounds.Cut(login, bounds.Name)}
	}
}

// reportTest tells how the last test of the connection went.
func (f *found) reportTest(status *v1alpha1.MarketplaceAccountStatus) {
	status.ConnectionTest = nil
	verified := f.Custody.Verified
	if verified == nil || !f.Usable() || f.refusedSince(verified.At) {
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
	refused := f.Custody.Refused
	return refused != nil && (f.Unresolved || f.StillRefused(refused)) && !refused.At.Before(at)
}

// reportAuthorization counts down what a person must renew, and returns its end; zero where nothing ends.
func (f *found) reportAuthorization(status *v1alpha1.MarketplaceAccountStatus) time.Time {
	if f.Unresolved {
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
		status.Authorization.DaysRemaining = new(renewal.Days(end, f.Now))
	}
	return end
}

// renewsItself tells that nobody has to mind the end of the authorization: each renewal moves it, and renewals go well.
func (f *found) renewsItself() bool {
	return !f.Unresolved && !f.Suspended() && f.Failure == nil && f.Prolonged()
}

func (f *found) authorization() *v1alpha1.AuthorizationStatus {
	granted, end := f.AuthorizationTimes()
	if end.IsZero() || f.GrantRefused() {
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
	if f.Unresolved {
		return
	}
	status.Application = nil
	application := f.Request.Application
	end := application.SecretExpiresAt
	if lifetime := f.Request.Platform.ApplicationSecretLifetime; end.IsZero() && lifetime > 0 && !application.SecretNeverExpires {
		end = f.ClientSecretSince().Add(lifetime)
	}
	if end.IsZero() {
		return
	}
	status.Application = &v1alpha1.ApplicationStatus{
		SecretExpirationTime: metav1.NewTime(renewal.Representable(end)),
		DaysRemaining:        new(renewal.Days(end, f.Now)),
	}
}

// reportSignIn says where to sign in, while somebody has to.
func (f *found) reportSignIn(status *v1alpha1.MarketplaceAccountStatus) {
	if f.Invited {
		status.SignIn = f.Invitation
	}
}

func (f *found) reportConditions(account *v1alpha1.MarketplaceAccount, ending time.Time) {
	for _, condition := range []metav1.Condition{
		f.ready(), f.authenticated(account, ending), f.reauthRequired(ending), f.expiring(account, ending),
	} {
		condition.ObservedGeneration = account.Generation
		condition.LastTransitionTime = metav1.NewTime(f.Now)
		condition.Message = bounded(condition.Message)
		meta.SetStatusCondition(&account.Status.Conditions, condition)
	}
	f.reportStalled(account)
}

// ready is True while the token Secret holds an unexpired token for this spec, whatever else is wrong.
func (f *found) ready() metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	current := f.Unresolved || !f.ForOtherSpec() && !f.WrongAccount()
	switch {
	case f.Now.Before(f.ServedUntil) && current:
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonTokenValid
		condition.Message = fmt.Sprintf("The token is valid until %s", lifecycle.ClockTime(f.ServedUntil)) + f.Withheld + f.endNote()
	case f.Failure != nil:
		condition.Reason, condition.Message = f.Failure.Reason, f.Failure.Message
	default:
		condition.Reason, condition.Message = v1alpha1.ReasonRenewing, "A token is being obtained"
	}
	return condition
}

func (f *found) authenticated(account *v1alpha1.MarketplaceAccount, ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionAuthenticated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid}
	granted := f.Custody.Tokens != nil
	switch {
	case f.Failure == nil && !granted:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionUnknown, v1alpha1.ReasonRenewing, "A token is being obtained"
	case f.Failure == nil:
		condition.Message = f.asWhom(account, ending)
		f.warn(&condition)
	default:
		condition.Status, condition.Reason = metav1.ConditionFalse, f.Failure.Reason
		condition.Message = f.Failure.Message + f.outlook()
		if f.Unresolved || reasons.Of(f.Failure.Reason).Authenticated == metav1.ConditionUnknown {
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
	if f.DuplicateOf != "" {
		condition.Reason = v1alpha1.ReasonDuplicateAccount
		condition.Message += "; " + f.DuplicateOf + " holds tokens of the same account"
	}
	if f.Unresolved {
		return
	}
	if unreadable := f.Request.Unreadable; unreadable != nil {
		condition.Reason = unreadable.Reason
		condition.Message += "; what was supplied since then is not used: " + unreadable.Message
	}
	if refused := f.SignInRefused(); refused != nil {
		if reasons.Of(refused.Reason).Warns {
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
		text += ", authorization " + inDays(ending, f.Now)
	}
	if verified := f.Custody.Verified; verified != nil {
		text += ", connection tested at " + lifecycle.ClockTime(verified.At)
		if verified.Failure != "" {
			text += ": " + verified.Failure
		}
	}
	return text
}

// outlook says when the next attempt follows, where one does without anybody's action.
func (f *found) outlook() string {
	if f.Unresolved || f.Suspended() || f.CannotRenew() {
		return ""
	}
	wait := f.NotBefore()
	if retry := f.RetryAt(); retry.After(wait) {
		wait = retry
	}
	if wait.IsZero() || !wait.After(f.Now) && len(f.Waits) == 0 {
		return ""
	}
	return "; next attempt not before " + lifecycle.ClockTime(wait) // which stays true while the account waits for its turn
}

// missingScopes are those that were asked for and not granted.
func (f *found) missingScopes() []string {
	if f.Unresolved || f.Custody.Tokens == nil {
		return nil
	}
	return f.Request.Platform.MissingScopes(f.Custody.Tokens.Scope)
}

func (f *found) reauthRequired(ending time.Time) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReauthRequired, Status: metav1.ConditionTrue}
	switch {
	case f.Failure != nil && reasons.Of(f.Failure.Reason).ReauthRequired:
		condition.Reason, condition.Message = f.Failure.Reason, f.Failure.Message+f.howToSignIn()
	case !f.Unresolved && !f.Suspended() && f.NeedsNewGrant(): // something else is in the way of a sign-in, too
		dead := f.DeadGrant()
		condition.Reason, condition.Message = dead.Reason, dead.Message+f.howToSignIn()
		if f.Failure != nil {
			condition.Message += "; " + f.Failure.Message
		}
	case !ending.IsZero() && !f.Now.Before(ending):
		condition.Reason = v1alpha1.ReasonAuthorizationExpired
		condition.Message = fmt.Sprintf("The authorization ended on %s; authorize the account again%s", lifecycle.Date(ending), f.howToSignIn())
	case !f.Unresolved && len(f.Unconsented()) > 0:
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
		condition.Status, condition.Reason = metav1.ConditionUnknown, nothing.Reason
		condition.Message = "There is no authorization whose end is known: " + nothing.Message
	case ending.IsZero():
	case !f.Now.Before(ending):
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpired
		condition.Message = fmt.Sprintf("The authorization ended on %s; authorize the account again", lifecycle.Date(ending)) + f.howToSignIn()
	case !f.Unresolved && f.Prolonged():
		condition.Message = fmt.Sprintf("Each renewal prolongs the authorization; without one it ends on %s", lifecycle.Date(ending))
	case !f.Now.Before(lifecycle.WarnFrom(account, ending)):
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring
		condition.Message = fmt.Sprintf("The authorization %s, on %s; authorize the account again before that%s",
			inDays(ending, f.Now), lifecycle.Date(ending), f.howToSignIn())
	default:
		condition.Message = fmt.Sprintf("The authorization ends on %s", lifecycle.Date(ending))
	}
	if f.Custody.AuthorizationEndUnreadable {
		condition.Message += "; the marketplace tells the end in a way that cannot be read, so refreshToken.lifetime of the Marketplace counts"
	}
	return condition
}

// unauthorized is why the account has no authorization, or none that the marketplace honours; nil where it has one, or needs none.
func (f *found) unauthorized() *lifecycle.Failure {
	switch {
	case f.Unresolved:
		if f.Custody.Tokens == nil {
			return f.Failure
		}
		return nil
	case !f.Request.RenewsByRefreshToken():
		return nil
	case f.GrantRefused():
		return &lifecycle.Failure{Reason: f.Custody.Refused.Reason, Message: f.Custody.Refused.Message}
	case f.Custody.RefreshToken != "":
		return nil
	case f.Failure != nil:
		return f.Failure
	}
	return &lifecycle.Failure{Reason: v1alpha1.ReasonRenewing, Message: "a token is being obtained"}
}

// next tells when to look again: at the next renewal or retry, at the turn of a day, when a warning begins; zero for never.
// invited is when to look after what waits for a person; zero for never.
func (f *found) next(account *v1alpha1.MarketplaceAccount, invited time.Time) time.Time {
	var look time.Time
	if f.Unresolved {
		if f.Usable() {
			look = f.Custody.Tokens.ExpiresAt
		}
	} else {
		plan := f.Plan()
		look = plan.Look
		if plan.Due { // it is left to another process for a while, or something came due while we worked
			look = lifecycle.Latest(f.Postponed, f.Now.Add(time.Second))
		}
		if f.LookAgain > 0 {
			look = renewal.Earliest(look, f.Now.Add(f.LookAgain))
		}
		look = f.whileWaiting(renewal.Earliest(look, f.NextTest(), invited, lifecycle.Ahead(f.NextRequest(), f.Now), lifecycle.Ahead(f.AskAgainAt, f.Now)))
		if f.TestQueued {
			look = renewal.Earliest(look, f.Now.Add(lookWaiting))
		}
	}
	look = renewal.Earliest(look, lifecycle.Ahead(f.ServedUntil, f.Now)) // which may be a token that the custody does not hold any more
	if authorization := account.Status.Authorization; authorization != nil {
		end := authorization.ExpirationTime.UTC()
		if authorization.DaysRemaining != nil {
			look = renewal.Earliest(look, renewal.NextDay(end, f.Now))
		}
		look = renewal.Earliest(look, lifecycle.Ahead(lifecycle.WarnFrom(account, end), f.Now))
	}
	if application := account.Status.Application; application != nil {
		look = renewal.Earliest(look, renewal.NextDay(application.SecretExpirationTime.UTC(), f.Now))
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

func bounded(message string) string {
	if len(message) <= bounds.Message {
		return message
	}
	return bounds.Cut(message, bounds.Message-len("…")) + "…"
}

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
