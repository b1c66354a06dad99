package oauthclient

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// DeviceCode asks for a device code (RFC 8628 section 3.1).
func (c *Client) DeviceCode(ctx context.Context, f facts.Facts) (answer.DeviceCode, error) {
	endpoint, err := c.Endpoint(ctx, f.Request, v1alpha1.GrantDeviceCode)
	if err != nil {
		return answer.DeviceCode{}, err
	}
	platform := f.Request.Platform
	address, err := c.SignInEndpoint(ctx, platform, "device authorization endpoint", platform.DeviceAuthorizationURL,
		func(e openid.Endpoints) string { return e.DeviceAuthorization })
	if err != nil {
		return answer.DeviceCode{}, err
	}
	var code answer.DeviceCode
	byPrevious, err := c.withBothSecrets(ctx, f, endpoint, func(endpoint grant.Endpoint) (err error) {
		code, err = endpoint.StartDevice(ctx, address, platform.Scopes)
		return err
	})
	code.ByPreviousSecret = byPrevious
	if err == nil && !platform.LeadsTo(code.URL) {
		return answer.DeviceCode{}, &answer.Error{Kind: answer.Malformed, Message: "the marketplace's answer sends people to the host " + facts.HostOf(code.URL) +
			", which belongs to no address of the Marketplace; where that is in order, an admin names the host in spec.apiHosts"}
	}
	if !platform.LeadsTo(code.CompleteURL) {
		code.CompleteURL = "" // it is a convenience
	}
	return code, err
}
