package driver

import (
	"context"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

// Resolve follows the references of an account. It is the look with the parts of a request for tokens, and with a custody whose addresses all lead to the
// hosts of the Marketplace. failure is the first reference that does not hold; nil when all do.
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
	l.Unresolved = failure != nil
	return d.vetAddresses(l), failure, nil
}

// Form returns a custody that was read, without the parts that the operator never writes.
func (d *Driver) Form(kept custody.Custody) custody.Custody {
	kept, _ = vetting.Form(kept, d.Now())
	return kept
}

// vetAddresses leaves the addresses and visits out of the custody that would lead people, codes or tokens to other hosts than the platform's. While the
// account's references do not hold, the hosts of the platform are not known and all of them are left out; but then the grant Secret is not written, and
// keeps them.
func (d *Driver) vetAddresses(l Look) Look {
	against := vetting.Platform{AccountIDs: []string{l.Account.Spec.AccountID}}
	if told := l.Account.Status.Account; told != nil {
		against.AccountIDs = append(against.AccountIDs, told.ID)
	}
	if !l.Unresolved {
		isPortals := func(address string) bool { return d.Portal != "" && strings.HasPrefix(address, string(d.Portal)+"/") }
		against.LeadsTo = func(address string) bool { return isPortals(address) || l.Request.Platform.LeadsTo(address) }
		against.Names = func(address string) bool { return isPortals(address) || l.Request.Platform.Names(address) }
		against.Visit = func(visit custody.Visit) bool { return d.VisitFits(l.Request, visit) }
	}
	checked, out := vetting.Addresses(l.Custody, against)
	l.Custody = checked
	if !l.Unresolved { // the rest is there again once the references are in order
		l.LeftOut = append(l.LeftOut, out...)
	}
	return l
}

// VisitFits tells whether the operator may have begun a visit: the visit names its server, and one of the redirect URIs of the account. Where the account
// shares its application with other accounts, the visit must be proven to be the operator's.
func (d *Driver) VisitFits(request facts.Request, visit custody.Visit) bool {
	if request.Shared && visit.Unproven {
		return false
	}
	own := request.Application.RedirectURI
	return visit.Server != "" && (visit.RedirectURI == d.Portal.Callback(visit.Marketplace) || own != "" && visit.RedirectURI == own)
}
