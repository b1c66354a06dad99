package controller

import (
	"context"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publishable returns the tokens to publish: without the ID token, where that is of no use or cannot be verified, so that it does not
// take the access token along. It returns false while the former pair stays: where an ID token is relied upon, or may still be
// verified in time.
func (r *Reconciler) publishable(ctx context.Context, f *found) (tokens custody.Tokens, ready bool) {
	tokens = *f.Custody.Tokens
	why, passes := r.idTokenFault(ctx, f)
	switch {
	case why == "":
		return tokens, true
	case f.keepsPair(passes):
		f.Withheld = fmt.Sprintf("; a newer access token waits until then, since %s: %s", conditions.WithoutIDToken, why)
		f.Obtained = false
		if passes {
			f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "New tokens wait to be published: " + why})
		}
		return tokens, false
	}
	f.Withheld = fmt.Sprintf("; %s: %s", conditions.WithoutIDToken, why)
	tokens.IDToken = ""
	return tokens, true
}

// idTokenFault says why the ID token at hand must not be published; empty where it may be. passes tells that the issuer's keys may come.
func (r *Reconciler) idTokenFault(ctx context.Context, f *found) (why string, passes bool) {
	tokens := f.Custody.Tokens
	switch {
	case tokens.IDToken == "":
		return "", false
	case tokens.IDTokenWithheld != "":
		return tokens.IDTokenWithheld, false
	case tokensecret.HoldsIDToken(f.published, tokens.IDToken): // it was verified then
		return "", false
	}
	err := r.verifyIDToken(ctx, f.Request, tokens.IDToken, "")
	if err == nil {
		return "", false
	}
	f.LookAgain = f.SoonEnough(min(max(recheck, f.Now.Sub(tokens.IssuedAt)/4), longestRecheck))
	return err.Error(), f.Unresolved || answer.AsError(err).Kind == answer.Unavailable
}

// keepsPair tells whether the tokens that are published stay until their end, instead of an access token without an ID token.
func (f *found) keepsPair(passes bool) bool {
	needed := passes || f.Account.Spec.Grant.Type == v1alpha1.GrantPassword || tokensecret.UsesIDToken(f.Account)
	return needed && !f.First && f.Now.Before(f.ServedUntil) && tokensecret.HasIDToken(f.published)
}
