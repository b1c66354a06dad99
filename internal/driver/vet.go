package driver

import (
	"context"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

// Resolve is the look with what a request for tokens would be made of, and with a custody that leads nobody elsewhere than the Marketplace does.
// failure is what is in the way of a request; nil when nothing is.
func (d *Driver) Resolve(ctx context.Context, l Look) (resolved Look, failure *facts.Failure, err error) {
	return d.resolve(ctx, l, d.Resolver.Resolve)
}

// Recall is Resolve without reading the Secrets of users of which the custody knows enough.
func (d *Driver) Recall(ctx context.Context, l Look) (resolved Look, failure *facts.Failure, err error) {
	return d.resolve(ctx, l, d.Resolver.Recall)
}

func (d *Driver) resolve(
	ctx context.Context, l Look, follow func(context.Context, facts.Facts) (facts.Request, *facts.Failure, error),
) (resolved Look, failure *facts.Failure, err error) {
	if l.Request, failure, err = follow(ctx, l.Facts); err != nil {
		return l, nil, err
	}
	return d.vetAddresses(l, failure != nil), failure, nil
}

// Form is a custody that was read, without the parts that no operator writes.
func (d *Driver) Form(kept custody.Custody) custody.Custody {
	kept, _ = vetting.Form(kept, d.Now())
	return kept
}

// vetAddresses leaves out of the custody what leads people, codes or tokens elsewhere. While the account's references are not in order
// nothing is known to lead to the platform, and nothing that was left out is written.
func (d *Driver) vetAddresses(l Look, unresolved bool) Look {
	against := vetting.Platform{AccountIDs: []string{l.Account.Spec.AccountID}}
	if told := l.Account.Status.Account; told != nil {
		against.AccountIDs = append(against.AccountIDs, told.ID)
	}
	if !unresolved {
		isPortals := func(address string) bool { return d.Portal != "" && strings.HasPrefix(address, string(d.Portal)+"/") }
		against.LeadsTo = func(address string) bool { return isPortals(address) || l.Request.Platform.LeadsTo(address) }
		against.Names = func(address string) bool { return isPortals(address) || l.Request.Platform.Names(address) }
		against.Visit = func(visit custody.Visit) bool { return d.VisitFits(l.Request, visit) }
	}
	checked, out := vetting.Addresses(l.Custody, against)
	l.Custody = checked
	if !unresolved { // the rest is there again once the references are in order
		l.LeftOut = append(l.LeftOut, out...)
	}
	return l
}

// VisitFits tells whether a visit is one that this operator could have begun: it says which server it led to, and to which of the
// redirect URIs that the account has. With an application that the account shares with others, somebody must be able to say that it has.
func (d *Driver) VisitFits(request facts.Request, visit custody.Visit) bool {
	if request.Shared && visit.Unproven {
		return false
	}
	own := request.Application.RedirectURI
	return visit.Server != "" && (visit.RedirectURI == d.Portal.Callback(visit.Marketplace) || own != "" && visit.RedirectURI == own)
}
