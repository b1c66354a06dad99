package demomarket_test

import (
	"net/http"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// revoke asks the plain provider to end a token.
func (d *demo) revoke(token, secret string) answer {
	d.t.Helper()
	r := newRequest(d.t, http.MethodPost, d.url+"/oidc/revoke", encodeForm(map[string]string{"token": token}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(demomarket.DefaultClientID, secret)
	return d.must(r)
}

func TestRevocation(t *testing.T) {
	tests := map[string]struct {
		which        func(answer) string
		secret       string
		status       int
		accessValid  bool
		refreshValid bool
	}{
		"the refresh token ends both": {
			which: func(a answer) string { return a.text("refresh_token") }, status: 200,
		},
		"the access token ends itself": {
			which: func(a answer) string { return a.text("access_token") }, status: 200, refreshValid: true,
		},
		"an unknown token is nothing": {
			which: func(answer) string { return "unknown" }, status: 200, accessValid: true, refreshValid: true,
		},
		"no token is an error": {
			which: func(answer) string { return "" }, status: 400, accessValid: true, refreshValid: true,
		},
		"a wrong client is an error": {
			which: func(a answer) string { return a.text("refresh_token") }, secret: "wrong",
			status: 401, accessValid: true, refreshValid: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.OIDC())
			oidc := d.Platform("oidc")
			oidc.SeedRefreshToken("seeded", "1")
			held := d.refresh("oidc", "seeded")
			secret := demomarket.DefaultClientSecret
			if test.secret != "" {
				secret = test.secret
			}
			wantStatus(t, d.revoke(test.which(held), secret), test.status)
			wantEqual(t, "access token is valid", oidc.AccessTokenValid(held.text("access_token")), test.accessValid)
			wantEqual(t, "refresh token is valid", oidc.RefreshTokenValid(held.text("refresh_token")), test.refreshValid)
			wantEqual(t, "requests", oidc.Report().Requests[demomarket.RevocationEndpoint], 1)
			wantEqual(t, "token requests", oidc.Report().Count("", ""), 1)
		})
	}
}
