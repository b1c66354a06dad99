package cards

import (
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// Names of the actions that buttons ask for.
const (
	ActionSignIn = "sign-in"
	ActionRenew  = "renew"
	ActionVerify = "verify"
)

// Forms makes the form of a button: the path that takes it, and the token that it carries.
type Forms func(action string) (path, token string)

// Offer puts the buttons on a card that have an effect as the account is now, the cure first. hasAddress tells that marketplaces
// can send browsers back to the portal.
func (c *Card) Offer(t Texts, e Entry, hasAddress bool, forms Forms, now time.Time) {
	account := e.Account
	if isSuspended(account) { // the marketplace is asked for nothing
		return
	}
	add := func(action, says string, primary bool) {
		path, token := forms(action)
		c.Buttons = append(c.Buttons, Button{Path: path, Form: token, Says: says, Main: primary})
	}
	token := account.Status.AccessToken
	signIn := t.SignIn
	if token != nil && !token.ExpirationTime.IsZero() {
		signIn = t.SignInAgain
	}
	signIn = t.At(c.Marketplace, signIn)
	cures := e.urgency == needsPerson || e.urgency == expiring
	switch account.Spec.Grant.Type {
	case v1alpha1.GrantAuthorizationCode:
		switch {
		case !hasAddress:
			c.Notes = append(c.Notes, t.NoAddress)
		case hindrance(account) == "":
			add(ActionSignIn, signIn, cures)
		}
	case v1alpha1.GrantDeviceCode:
		if !c.showCode(t, account.Status.SignIn, now) && hindrance(account) == "" && !isPending(account, v1alpha1.AnnotationSignIn) {
			add(ActionSignIn, signIn, cures)
		}
	case v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials: // no person signs in
	}
	if canRenew(e) {
		add(ActionRenew, t.RenewNow, false)
	}
	if canTest(e) {
		add(ActionVerify, t.TestConnection, false)
	}
}

// whyNot are the reasons why an account is not authenticated and not ready; empty where it is.
func whyNot(account *v1alpha1.MarketplaceAccount) (authenticated, ready string) {
	reason := func(name string) string {
		if condition := meta.FindStatusCondition(account.Status.Conditions, name); !isTrue(condition) {
			return reasonOf(condition)
		}
		return ""
	}
	return reason(v1alpha1.ConditionAuthenticated), reason(v1alpha1.ConditionReady)
}

// hindrance is the reason why no sign-in can succeed, such as a refused application or setting, which it needs too; empty where it can.
func hindrance(account *v1alpha1.MarketplaceAccount) string {
	asked := meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReauthRequired)
	visits := asked && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode
	unauthenticated, unready := whyNot(account)
	for _, reason := range []string{unauthenticated, unready} {
		if onlyAChangeCures(reason) && !(visits && reasons.Of(reason).AllowsVisit) {
			return reason
		}
	}
	return ""
}

// canRenew tells whether a renewal can bring a token: there is a grant that the marketplace has not refused, or the account says
// itself that a person may have it tried.
func canRenew(e Entry) bool {
	unauthenticated, unready := whyNot(e.Account)
	switch {
	case isPending(e.Account, v1alpha1.AnnotationRenew):
		return false
	case asksForRenewal(e.Account):
		return true
	case reasons.Of(e.reason).Subject == reasons.Authorization, unready != "" && !reasons.Of(unready).BacksOff:
		return false // a further attempt ends nothing else
	}
	return unauthenticated == "" || reasons.Of(unauthenticated).BacksOff
}

// asksForRenewal tells that an account does not renew by itself, and says that it does when it is annotated: a person decides
// whether to send a refresh token that may be spent.
func asksForRenewal(account *v1alpha1.MarketplaceAccount) bool {
	authenticated := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionAuthenticated)
	return authenticated != nil && !isTrue(authenticated) && strings.Contains(authenticated.Message, v1alpha1.AnnotationRenew)
}

// canTest tells whether there is a token to test, and a way.
func canTest(e Entry) bool {
	test := e.Account.Status.ConnectionTest
	return !e.usableUntil.IsZero() && !isPending(e.Account, v1alpha1.AnnotationVerify) &&
		(test == nil || test.Result != v1alpha1.ConnectionTestUnsupported)
}

// showCode puts the code of a device on a card; false when there is none that works.
func (c *Card) showCode(t Texts, code *v1alpha1.SignInStatus, now time.Time) bool {
	if code == nil || code.UserCode == "" {
		return false
	}
	if end := code.ExpirationTime; !end.IsZero() {
		if !now.Before(end.Time) {
			return false
		}
		c.CodeEnds = t.Count(t.CodeEnds, max(1, int(end.Sub(now)/time.Minute)))
	}
	c.Code, c.CodeSays = code.UserCode, t.CodeEnter
	if outgoing.CheckLink(code.URL) == nil {
		c.CodeURL = code.URL
		if carries(code.URL, code.UserCode) {
			c.CodeSays = t.CodeCheck
		}
	}
	c.CodeSays = t.At(c.Marketplace, c.CodeSays)
	return true
}

// carries tells whether an address brings a code along (RFC 8628 section 3.3.1), however it writes it.
func carries(address, code string) bool {
	signs := func(text string) string {
		return strings.Map(func(char rune) rune {
			if !unicode.IsLetter(char) && !unicode.IsDigit(char) {
				return -1
			}
			return unicode.ToLower(char)
		}, text)
	}
	_, query, _ := strings.Cut(address, "?")
	return strings.Contains(signs(query), signs(code)) || strings.HasSuffix(signs(address), signs(code))
}
