package cards

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// Card is an account in the list.
type Card struct {
	Namespace, Name, Marketplace, Environment, Login, ID string
	// Given tells that Login is the name that people gave the account, and not the marketplace's word; Expected tells the same of ID.
	Given, Expected bool
	// Kind is how urgent it looks: act, soon, trouble, wait, warn or fine.
	Kind string
	// Says is the status in words, Todo the advice, and Notes are further facts worth knowing.
	Says        string
	Todo, Notes []string
	Details     []string
	// Code is the code of a device that a person has to enter at CodeURL; CodeSays says how, CodeEnds until when.
	Code, CodeURL, CodeSays, CodeEnds string
	Buttons                           []Button
	// Outcome says how the last request by a button ended, or that it is under way; empty when there was none, or long ago.
	Outcome string
	// Shown tells that the visitor has just pressed a button of this card, and Focused that it is not there any more.
	Shown, Focused bool
}

// Button is a form with one button.
type Button struct {
	Path, Form, Says string
	// Main is the button to press.
	Main bool
	// Focused is the one that was just pressed.
	Focused bool
}

// Focus keeps the focus at the button that was just pressed, or else at its card.
func (c *Card) Focus(path string) {
	c.Shown = true
	for i := range c.Buttons {
		if c.Buttons[i].Path == path {
			c.Buttons[i].Focused = true
			return
		}
	}
	c.Focused = true
}

// Of says how it is with an account at a marketplace of this name. Its advice is for a visitor with the right to press the
// account's buttons if may is true, else for one without it.
func Of(t Texts, e Entry, marketplace string, may bool, now time.Time) Card {
	account := e.Account
	c := Card{
		Namespace: account.Namespace, Name: account.Name, Marketplace: marketplace,
		ID:      account.Spec.AccountID,
		Kind:    e.kind(),
		Says:    t.says(e.summary, marketplace),
		Todo:    t.todo(e.summary, marketplace, meansOf(e, may)),
		Details: details(&account.Status),
		Outcome: t.outcome(account, marketplace, now),
	}
	c.Login, c.Given = SellerOf(account)
	if account.Spec.Environment != Production {
		c.Environment = account.Spec.Environment
	}
	c.Expected = true
	if seen := account.Status.Account; seen != nil && seen.ID != "" {
		c.ID, c.Expected = seen.ID, false
	}
	if warning := t.application(account.Status.Application, now); warning != "" {
		c.Todo = append(c.Todo, warning)
	}
	for _, note := range []string{
		t.stillWorks(e.summary, now), t.tested(account.Status.ConnectionTest, marketplace, now), t.suspended(e),
	} {
		if note != "" {
			c.Notes = append(c.Notes, note)
		}
	}
	return c
}

// kind is how a summary looks.
func (s summary) kind() string {
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
		if reasons.Of(s.reason).Severity == reasons.Waiting {
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

// SellerOf is the login of an account, and whether it is the name that people gave it. The status repeats that name
// where the marketplace tells none.
func SellerOf(account *v1alpha1.MarketplaceAccount) (login string, given bool) {
	if seen := account.Status.Account; seen != nil && seen.Login != "" && seen.Login != account.Spec.Login {
		return seen.Login, false
	}
	return account.Spec.Login, account.Spec.Login != ""
}

func isSuspended(account *v1alpha1.MarketplaceAccount) bool {
	return account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended
}

// meansOf is how the visitor can sign an account in.
func meansOf(e Entry, may bool) means {
	switch {
	case !signsIn(e.Account):
		return noSignIn
	case isSuspended(e.Account):
		return suspendedSignIn
	case e.hindrance != "":
		return hinderedSignIn
	case !may:
		return othersSignIn
	}
	return ownSignIn
}

// suspended says that nothing is renewed, where the status does not.
func (t Texts) suspended(e Entry) string {
	if !isSuspended(e.Account) || reasons.Of(e.reason).Cure == reasons.Resume {
		return ""
	}
	return t.SuspendedAsk
}

// tested says how the last test of the connection went.
func (t Texts) tested(test *v1alpha1.ConnectionTestStatus, marketplace string, now time.Time) string {
	if test == nil {
		return ""
	}
	return t.At(marketplace, words.Fill(t.Tests[test.Result], "moment", t.When(test.Time.Time, now)))
}
