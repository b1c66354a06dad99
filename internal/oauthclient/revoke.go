package oauthclient

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// Revoke ends grants by their refresh tokens, with whichever client secret is accepted. One that cannot be revoked keeps no other: the error is the first
// that passes, or else the first.
func (c *Client) Revoke(ctx context.Context, f facts.Facts, endpoint grant.Endpoint, address string, refreshTokens ...string) error {
	defer room.StepOut(ctx)()
	var failed error
	for _, token := range refreshTokens {
		err := revoke(ctx, f, endpoint, address, token)
		if failed == nil || err != nil && answer.AsError(err).Passes() && !answer.AsError(failed).Passes() {
			failed = err
		}
	}
	return failed
}

func revoke(ctx context.Context, f facts.Facts, endpoint grant.Endpoint, address, refreshToken string) (err error) {
	for _, secret := range secretsOf(f) {
		endpoint.ClientSecret = secret
		if err = endpoint.Revoke(ctx, address, refreshToken); err == nil || answer.AsError(err).Kind != answer.ApplicationRejected {
			return err
		}
	}
	return err
}
