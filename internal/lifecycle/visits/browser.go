package visits

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Browser is a browser that comes back from a marketplace, by the proofs that it brings.
type Browser struct {
	// Marketplace is the name of the callback to which the browser came.
	Marketplace string
	// State is the state that the marketplace sent along, and Cookie the secret in the browser's cookie.
	State, Cookie string
	// Claim marks the visit of which this callback takes care; empty before it does.
	Claim string
}

// Visit is the visit of the browser's state in the custody of an account; nil where there is none. All that the visit is bound to must agree.
func (b Browser) Visit(kept custody.Custody, account types.UID) *custody.Visit {
	for _, visit := range kept.SignIn.Visits {
		state, cookie := signin.Matches(visit.State, b.State), signin.Matches(visit.Cookie, b.Cookie)
		if state && cookie && visit.Account == account && visit.Marketplace == b.Marketplace {
			return &visit
		}
	}
	return nil
}

// LeftVisit is the visit of the browser's cookie in the custody of an account, if its person may have left it or did so before; nil where there is none.
func (b Browser) LeftVisit(kept custody.Custody, account types.UID, now time.Time) *custody.Visit {
	at := b.left(kept, account, now)
	if at < 0 {
		return nil
	}
	return &kept.SignIn.Visits[at]
}

// left is the index of LeftVisit; -1 where there is none.
func (b Browser) left(kept custody.Custody, account types.UID, now time.Time) int {
	return slices.IndexFunc(kept.SignIn.Visits, func(visit custody.Visit) bool {
		return signin.Matches(visit.Cookie, b.Cookie) && visit.Account == account && visit.Marketplace == b.Marketplace &&
			!visit.Used && now.Before(visit.ExpiresAt) && (visit.Problem == "" || visit.Problem == string(signin.ConsentDenied))
	})
}

// use marks the visit as used by this callback, so that its state is good for nothing any more; at is its index, and -1 where another callback was quicker.
func (b Browser) use(kept custody.Custody) (used custody.Custody, at int) {
	kept.SignIn = kept.SignIn.Clone()
	at = slices.IndexFunc(kept.SignIn.Visits, func(visit custody.Visit) bool {
		return signin.Matches(visit.State, b.State) && (!visit.Used || visit.Claim == b.Claim)
	})
	if at >= 0 {
		visit := &kept.SignIn.Visits[at]
		visit.Used, visit.Claim, visit.Verifier, visit.Nonce, visit.Problem = true, b.Claim, "", "", ""
	}
	return kept, at
}

// isStored tells whether the grant of the visit is in use, or waits to be, or was already followed by another.
func (b Browser) isStored(kept custody.Custody) bool {
	at := slices.IndexFunc(kept.SignIn.Visits, func(visit custody.Visit) bool {
		return signin.Matches(visit.State, b.State) && visit.Claim == b.Claim
	})
	if at < 0 {
		return false
	}
	consent, waits := kept.SignIn.Visits[at].Consent, kept.Candidate
	return consent > 0 && (kept.Accepted >= consent || waits != nil && waits.Consent == consent)
}
