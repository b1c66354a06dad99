package portal

import (
	"cmp"
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// card is an account in the list.
type card struct {
	Namespace, Name, Marketplace, Environment, Login, ID string
	// Given tells that Login is the name that people gave the account, and not the marketplace's word.
	Given bool
	// Kind is how urgent it looks: act, soon, trouble, wait, warn or fine.
	Kind string
	// Says is the status in words, Todo what to do, Notes what else there is to know.
	Says        string
	Todo, Notes []string
	Details     []string
	// Code and CodeURL are the code that somebody has to enter, and where; CodeEnds says until when.
	Code, CodeURL, CodeEnds string
	Buttons                 []button
}

// button is a form with one button.
type button struct {
	Path, Form, Says string
	// Main is the button to press.
	Main bool
}

// cardOf says how it is with an account, to somebody who may change it or not.
func cardOf(t *texts, e entry, marketplace string, may bool, now time.Time) card {
	account := e.account
	c := card{
		Namespace: account.Namespace, Name: account.Name, Marketplace: marketplace,
		ID:      account.Spec.AccountID,
		Kind:    e.kind(),
		Says:    t.says(e.standing, marketplace),
		Todo:    t.todo(e.standing, marketplace, meansOf(account, may)),
		Details: details(&account.Status),
	}
	c.Login, c.Given = sellerOf(account)
	if account.Spec.Environment != production {
		c.Environment = account.Spec.Environment
	}
	if seen := account.Status.Account; seen != nil {
		c.ID = cmp.Or(seen.ID, c.ID)
	}
	if warning := t.application(account.Status.Application, now); warning != "" {
		c.Todo = append(c.Todo, warning)
	}
	for _, note := range []string{
		t.stillWorks(e.standing, now), t.tested(account.Status.ConnectionTest, marketplace, now), t.suspended(e), t.pending(account),
	} {
		if note != "" {
			c.Notes = append(c.Notes, note)
		}
	}
	return c
}

// kind is how a standing looks.
func (s standing) kind() string {
	switch s.urgency {
	case needsPerson:
		return "act"
	case expiring:
		return "soon"
	case broken:
		return "trouble"
	case warned:
		return "warn"
	case failing:
		if s.reason == v1alpha1.ReasonRenewing || s.reason == v1alpha1.ReasonSuspended {
			return "wait"
		}
		return "trouble"
	case settled:
	}
	return "fine"
}

// signsIn tells that a person signs this account in.
func signsIn(account *v1alpha1.MarketplaceAccount) bool {
	grant := account.Spec.Grant.Type
	return grant == v1alpha1.GrantAuthorizationCode || grant == v1alpha1.GrantDeviceCode
}

// sellerOf is the login of an account, and whether it is the name that people gave it. The status repeats that name
// where the marketplace tells none.
func sellerOf(account *v1alpha1.MarketplaceAccount) (login string, given bool) {
	if seen := account.Status.Account; seen != nil && seen.Login != "" && seen.Login != account.Spec.Login {
		return seen.Login, false
	}
	return account.Spec.Login, account.Spec.Login != ""
}

func isSuspended(account *v1alpha1.MarketplaceAccount) bool {
	return account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended
}

// meansOf is how whoever looks at an account can sign it in.
func meansOf(account *v1alpha1.MarketplaceAccount, may bool) means {
	switch {
	case !signsIn(account):
		return noSignIn
	case isSuspended(account):
		return suspendedSignIn
	case !may:
		return othersSignIn
	}
	return ownSignIn
}

// suspended says that nothing is renewed, where the status does not.
func (t *texts) suspended(e entry) string {
	if !isSuspended(e.account) || e.reason == v1alpha1.ReasonSuspended {
		return ""
	}
	return t.SuspendedAsk
}

// tested says how the last test of the connection went.
func (t *texts) tested(test *v1alpha1.ConnectionTestStatus, marketplace string, now time.Time) string {
	if test == nil {
		return ""
	}
	return t.at(marketplace, fill(t.Tests[test.Result], "moment", t.when(test.Time.Time, now)))
}

// pending says what was asked for and is not done yet.
func (t *texts) pending(account *v1alpha1.MarketplaceAccount) string {
	handled := account.Status.Handled
	if handled == nil {
		handled = &v1alpha1.HandledStatus{}
	}
	signIn := ""
	switch account.Spec.Grant.Type {
	case v1alpha1.GrantAuthorizationCode:
		signIn = t.LinkAsked
	case v1alpha1.GrantDeviceCode:
		signIn = t.SignInAsked
	case v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials: // nobody signs in
	}
	for _, request := range []struct{ annotation, handled, says string }{
		{v1alpha1.AnnotationSignIn, handled.SignIn, signIn},
		{v1alpha1.AnnotationRenew, handled.Renew, t.RenewAsked},
		{v1alpha1.AnnotationVerify, handled.Verify, t.TestAsked},
	} {
		if asked := account.Annotations[request.annotation]; asked != "" && asked != request.handled && request.says != "" {
			return request.says
		}
	}
	return ""
}

// offerActions puts the buttons on a card.
func (p *Portal) offerActions(c *card, t *texts, who *visitor, e entry, now time.Time) {
	account := e.account
	if isSuspended(account) { // the marketplace is asked for nothing
		return
	}
	add := func(action, says string, primary bool) {
		path := actionPath(nameOf(account), action)
		c.Buttons = append(c.Buttons, button{Path: path, Form: p.formToken(who, path), Says: says, Main: primary})
	}
	token := account.Status.AccessToken
	issued := token != nil && !token.ExpirationTime.IsZero()
	signIn := t.SignIn
	if issued {
		signIn = t.SignInAgain
	}
	signIn = t.at(c.Marketplace, signIn)
	urgent := e.urgency == needsPerson || e.urgency == expiring
	switch account.Spec.Grant.Type {
	case v1alpha1.GrantAuthorizationCode:
		if p.address == "" {
			c.Notes = append(c.Notes, t.NoAddress)
		} else {
			add(actionSignIn, signIn, urgent)
		}
	case v1alpha1.GrantDeviceCode:
		if !c.showCode(t, account.Status.SignIn, now) {
			add(actionSignIn, signIn, urgent)
		}
	case v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials:
	}
	if e.urgency != needsPerson || !e.usableUntil.IsZero() { // else there is nothing to renew with
		add(actionRenew, t.RenewNow, false)
	}
	test := account.Status.ConnectionTest
	if issued && (test == nil || test.Result != v1alpha1.ConnectionTestUnsupported) {
		add(actionVerify, t.TestConnection, false)
	}
}

// showCode puts the code of a device on a card; false when there is none that works.
func (c *card) showCode(t *texts, code *v1alpha1.SignInStatus, now time.Time) bool {
	if code == nil || code.UserCode == "" {
		return false
	}
	if end := code.ExpirationTime; !end.IsZero() {
		if !now.Before(end.Time) {
			return false
		}
		c.CodeEnds = t.count(t.CodeEnds, max(1, int(end.Sub(now)/time.Minute)))
	}
	c.Code = code.UserCode
	if isWeb(code.URL) {
		c.CodeURL = code.URL
	}
	return true
}

// isWeb tells whether a browser may be sent to an address.
func isWeb(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && parsed.Host != "" && parsed.User == nil && (parsed.Scheme == "https" || parsed.Scheme == "http")
}
