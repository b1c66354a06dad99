package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"

// secretParameters are the parameters of a request that nobody else may see. On a page, code can be a user code, which
// is made to be shown.
func secretParameters(e platforms.Endpoint) []string {
	switch e {
	case platforms.AuthorizationEndpoint, platforms.StoreEndpoint, platforms.ConfirmationEndpoint, platforms.DeviceEndpoint:
		return []string{"password"}
	}
	return []string{
		"client_secret", "password", "refresh_token", "access_token", "code", "code_verifier", "device_code", "token",
		"assertion", "client_assertion",
	}
}
