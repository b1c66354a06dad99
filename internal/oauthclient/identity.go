package oauthclient

import (
	"context"
	"errors"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// Identify asks for the account of an access token. It waits for no turn: how many ask at once is bounded by the requests for tokens
// that went before.
func (c *Client) Identify(ctx context.Context, f facts.Facts, accessToken string) (answer.Identity, error) {
	defer c.limiters.Forget(waiterOf(f.Account, lifecycle.Identifying))
	permit, wait := c.TryAcquireToIdentify(f)
	if permit == nil && wait.Cause != throttle.Turn {
		return answer.Identity{}, NotAsked(wait)
	}
	return c.IdentifyWith(ctx, f, accessToken, permit)
}

// IdentifyWith asks for the account of an access token; the permit may be nil.
func (c *Client) IdentifyWith(ctx context.Context, v facts.Facts, accessToken string, permit *throttle.Permit[waiter]) (answer.Identity, error) {
	platform := v.Request.Platform
	back := room.StepOut(ctx)
	identity, err := platform.Identify(ctx, c.client(platform, false), accessToken)
	back()
	identity.ID = platform.AccountIDOf(identity.ID, v.Account.Spec.AccountID)
	if permit == nil {
		return identity, err
	}
	outcome := throttle.Outcome{}
	if failed, ok := errors.AsType[*answer.IdentityError](err); ok {
		outcome.Unavailable = failed.Unanswered()
		if failed.Status == http.StatusTooManyRequests {
			outcome.RetryAfter = limitedFor
		}
	}
	permit.Release(outcome)
	return identity, err
}

// NotAsked is why the marketplace was not asked for the account of an access token.
func NotAsked(wait throttle.Wait) *answer.IdentityError {
	if wait.Cause == throttle.LeftAlone {
		return &answer.IdentityError{Why: "the marketplace wants no more requests for a while"}
	}
	return &answer.IdentityError{Why: "the marketplace did not answer the last requests of several accounts"}
}
