package oauthclient

import (
	"context"
	"crypto/subtle"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// CheckIDToken checks the ID token that a sign-in brought which asked for these scopes: that it was made for this sign-in, where a nonce was
// sent, and that it is its issuer's. unverified tells that the issuer's keys could not be had.
func (c *Client) CheckIDToken(ctx context.Context, req facts.Request, got lifecycle.Issued, asked []string, nonce string) (unverified bool, err error) {
	switch {
	case got.IDToken == "" && nonce != "": // OpenID Connect Core section 3.1.3.3
		return false, &answer.Error{Kind: answer.GrantRejected, Message: "it sent no ID token, although the scope openid was asked for"}
	case got.IDToken == "", !countsOnIDToken(req, got, asked):
		return false, nil
	}
	// It came from the token endpoint itself, over TLS (OpenID Connect Core section 3.1.3.7).
	if nonce != "" && subtle.ConstantTimeCompare([]byte(grant.ClaimsOf(got.IDToken).Text("nonce")), []byte(nonce)) != 1 {
		return false, &answer.Error{Kind: answer.GrantRejected, Message: "the ID token was made for another sign-in"}
	}
	err = c.VerifyIDToken(ctx, req, got.IDToken, nonce)
	if err != nil && answer.AsError(err).Kind == answer.Unavailable {
		return true, nil
	}
	return false, err
}

// countsOnIDToken tells that a sign-in is worth nothing without its ID token: that was asked for, by the scope openid (OpenID Connect Core section
// 3.1.2.1), or it tells whose the tokens are. Any other takes no tokens along: it is verified when it is published, and withheld where it does not pass.
func countsOnIDToken(req facts.Request, got lifecycle.Issued, asked []string) bool {
	return slices.Contains(asked, "openid") || req.Platform.AccountIDInIDToken && got.Account.By == req.Platform.ByClaim()
}

// VerifyIDToken checks an ID token against its issuer's keys, where the Marketplace names an issuer. An empty nonce is not
// looked at. An ID token that is good by the clock of the host that gave it has not expired: a clock of ours that is ahead costs no sign-in.
func (c *Client) VerifyIDToken(ctx context.Context, req facts.Request, idToken, nonce string) error {
	if req.Platform == nil || req.Platform.Issuer == "" || idToken == "" {
		return nil
	}
	defer room.StepOut(ctx)()
	if err := c.providers.Verify(ctx, req.Platform.Issuer, req.Application.ClientID, idToken, nonce, c.skews.delayOf(req.TokenHost())); err != nil {
		return answer.AsError(err)
	}
	return nil
}
