package signinflow

import (
	"context"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/visits"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Decline takes a browser that a marketplace sent back without a state, as eBay does with people who decline: the cookies of
// its visits name the account that it was for. Its error is for the person to read.
//
// Nothing proves that the marketplace sent the browser, so the visit is left, and not used up: see visits.Leave.
func (v *Visits) Decline(ctx context.Context, marketplaceName string, cookies []string) error {
	var left []*returned
	for _, cookie := range cookies {
		key, secret, ok := splitCookie(cookie)
		if !ok {
			continue
		}
		b := &returned{key: key, browser: visits.Browser{Marketplace: marketplaceName, Cookie: secret}}
		switch err := v.leftAt(ctx, b); {
		case isDown(err):
			return err
		case err == nil:
			left = append(left, b)
		}
	}
	if slices.ContainsFunc(left, func(b *returned) bool { return b.visit.Problem == "" }) {
		left = slices.DeleteFunc(left, func(b *returned) bool { return b.visit.Problem != "" }) // they were left before
	}
	unclear := slices.ContainsFunc(left, func(b *returned) bool { return b.key != left[0].key })
	if len(left) == 0 || unclear {
		return &signin.Error{Problem: signin.ConsentDenied} // no account is named, since it may be another
	}
	return v.leave(ctx, left)
}

// leftAt finds the visit at a marketplace of which the browser has the cookie, if its person may have left it.
func (v *Visits) leftAt(ctx context.Context, b *returned) error {
	account, err := v.account(ctx, b.key)
	if err != nil {
		return err
	}
	unknown := &signin.Error{Problem: signin.VisitUnknown}
	if account == nil {
		return unknown
	}
	if b.Look, err = v.look(ctx, b.key); err != nil {
		return err
	}
	of := func(kept custody.Custody) bool {
		visit := b.browser.LeftVisit(kept, b.Account.UID, b.Now)
		if visit == nil {
			return false
		}
		b.visit = *visit
		return true
	}
	if of(b.Custody) {
		return nil
	}
	if !v.returns.AllowN(b.Now, 1) {
		return unknown
	}
	kept, err := v.live(ctx, account) // the visit may have begun at another replica just now
	if err != nil {
		return clusterDown(err)
	}
	if !of(kept) {
		return unknown
	}
	return nil
}

// leave ends visits of one account, and lets the browser of the latest try again.
func (v *Visits) leave(ctx context.Context, left []*returned) error {
	last := slices.MaxFunc(left, func(a, b *returned) int { return a.visit.ExpiresAt.Compare(b.visit.ExpiresAt) })
	last.Look = last.ForBrowser(signin.Again(last.browser.Cookie))
	browsers := make([]visits.Browser, len(left))
	for i, b := range left {
		browsers[i] = b.browser
	}
	problem := &signin.Error{Problem: signin.ConsentDenied, Account: last.SignInAccount()}
	err := v.write(ctx, last.Look, func(l driver.Look) (driver.Look, error) {
		change, again := visits.Leave(l.Facts, browsers)
		if again {
			problem.Ticket = last.RetryTicket
		}
		return v.driver.Apply(ctx, l, change)
	})
	if err != nil {
		problem.Ticket = ""
		if isDown(err) {
			return err
		}
	}
	return problem
}
