package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publishable returns the tokens to publish: without the ID token, where that is of no use or cannot be verified, so that the access token
// is published all the same. It returns false while the former pair stays: where an ID token is relied upon, or may still be
// verified in time.
func (p *Publisher) publishable(ctx context.Context, l driver.Look) (tokens custody.Tokens, ready bool, told driver.Look) {
	tokens = *l.Custody.Tokens
	fault := p.idTokenFault(ctx, l)
	switch {
	case fault.why == "":
		return tokens, true, l
	case keepsPair(l, fault.passes):
		outcome := lifecycle.Outcome{LookAgain: fault.lookAgain, KeepsFormer: true,
			Withheld: fmt.Sprintf("; a newer access token waits until then, since %s: %s", conditions.WithoutIDToken, fault.why)}
		if fault.passes {
			outcome.Failure = &facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "New tokens wait to be published: " + fault.why}
		}
		return tokens, false, l.With(outcome)
	}
	tokens.IDToken = ""
	return tokens, true, l.With(lifecycle.Outcome{LookAgain: fault.lookAgain, Withheld: fmt.Sprintf("; %s: %s", conditions.WithoutIDToken, fault.why)})
}

// idTokenFault is why the ID token at hand must not be published.
type idTokenFault struct {
	why string // empty where it may be
	// passes tells that the issuer's keys may come, and lookAgain when to look.
	passes    bool
	lookAgain time.Duration
}

func (p *Publisher) idTokenFault(ctx context.Context, l driver.Look) idTokenFault {
	tokens := l.Custody.Tokens
	switch {
	case tokens.IDToken == "":
		return idTokenFault{}
	case tokens.IDTokenWithheld != "":
		return idTokenFault{why: tokens.IDTokenWithheld}
	case tokensecret.HoldsIDToken(l.TokenSecret, tokens.IDToken): // it was verified then
		return idTokenFault{}
	}
	err := p.OAuth.VerifyIDToken(ctx, l.Request, tokens.IDToken, "")
	if err == nil {
		return idTokenFault{}
	}
	return idTokenFault{err.Error(), l.Unresolved || answer.AsError(err).Kind == answer.Unavailable, lifecycle.RecheckAfter(l.Facts, tokens.IssuedAt)}
}

// keepsPair tells whether the tokens that are published stay until their end, instead of an access token without an ID token.
func keepsPair(l driver.Look, passes bool) bool {
	needed := passes || l.Account.Spec.Grant.Type == v1alpha1.GrantPassword || tokensecret.UsesIDToken(l.Account)
	return needed && !l.First && l.Now.Before(l.ServedUntil) && tokensecret.HasIDToken(l.TokenSecret)
}
