package demomarket_test

import (
	"net/http"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestPasswordGrant(t *testing.T) {
	d := serve(t, demomarket.XSale())
	got := d.login(demomarket.DefaultPassword)
	wantStatus(t, got, http.StatusOK)
	wantEqual(t, "expires_in", got.body["expires_in"], any(86400.0))
	wantEqual(t, "refresh_token", got.text("refresh_token"), "")

	access := claims(t, got.text("access_token"))
	wantEqual(t, "access token's lifetime", access["exp"].(float64)-access["iat"].(float64), 86400)
	wantEqual(t, "audience", access["aud"].([]any)[0], any("https://api.xsale.ai"))
	id := claims(t, got.text("id_token"))
	wantEqual(t, "ID token's lifetime", id["exp"].(float64)-id["iat"].(float64), 36000)
	wantEqual(t, "audience", id["aud"], any(demomarket.DefaultClientID))
	wantEqual(t, "issuer", id["iss"], any(d.url+"/xsale/"))
	wantEqual(t, "subject", id["sub"], any("auth0|64f0c1d2e3b4a59687786950"))

	withoutScope := loginParameters(demomarket.DefaultPassword)
	delete(withoutScope, "scope")
	all := d.must(d.request("xsale", withoutScope))
	wantEqual(t, "scope", all.text("scope"), "openid profile email xsale production")

	withoutOpenID := loginParameters(demomarket.DefaultPassword)
	withoutOpenID["scope"] = "xsale"
	wantEqual(t, "id_token", d.must(d.request("xsale", withoutOpenID)).text("id_token"), "")
}

func TestTenWrongPasswordsLockAUser(t *testing.T) {
	d := serve(t, demomarket.XSale())
	for range 9 {
		wantError(t, d.login("wrong"), http.StatusForbidden, "invalid_grant")
	}
	wantStatus(t, d.login(demomarket.DefaultPassword), http.StatusOK) // which begins the count anew
	for range 10 {
		wantError(t, d.login("wrong"), http.StatusForbidden, "invalid_grant")
	}
	wantError(t, d.login(demomarket.DefaultPassword), http.StatusTooManyRequests, "too_many_attempts")

	d.Platform("xsale").SetPassword(demomarket.DefaultUser, "new-password")
	wantStatus(t, d.login("new-password"), http.StatusOK)
	wantError(t, d.login(demomarket.DefaultPassword), http.StatusForbidden, "invalid_grant")

	report := d.Platform("xsale").Report()
	wantEqual(t, "wrong passwords", report.Count(demomarket.GrantPassword, demomarket.WrongPassword), 20)
	wantEqual(t, "locked", report.Count(demomarket.GrantPassword, demomarket.UserLocked), 1)
	wantEqual(t, "logins", report.Count(demomarket.GrantPassword, demomarket.OK), 2)
}

func TestARightPasswordMayNotBeEnough(t *testing.T) {
	tests := map[string]struct {
		outcome     demomarket.Outcome
		status      int
		code        string
		newPassword bool // cures it
	}{
		"a second factor":   {outcome: demomarket.MFARequired, status: 403, code: "mfa_required"},
		"a leaked password": {outcome: demomarket.PasswordLeaked, status: 401, code: "password_leaked", newPassword: true},
		"a blocked user":    {outcome: demomarket.UserBlocked, status: 401, code: "unauthorized"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.XSale())
			xsale := d.Platform("xsale")
			xsale.RefuseLogin(demomarket.DefaultUser, test.outcome)
			wantError(t, d.login("wrong"), http.StatusForbidden, "invalid_grant")
			wantError(t, d.login(demomarket.DefaultPassword), test.status, test.code)
			xsale.SetPassword(demomarket.DefaultUser, "new-password")
			wantEqual(t, "cured by a new password", d.login("new-password").status == http.StatusOK, test.newPassword)
			xsale.RefuseLogin(demomarket.DefaultUser, "")
			wantStatus(t, d.login("new-password"), http.StatusOK)
		})
	}
}

func TestLock(t *testing.T) {
	d := serve(t, demomarket.XSale())
	d.Platform("xsale").Lock(demomarket.DefaultUser)
	wantError(t, d.login(demomarket.DefaultPassword), http.StatusTooManyRequests, "too_many_attempts")
}

func TestUsersOfOnesOwn(t *testing.T) {
	d := serve(t, demomarket.XSale(), demomarket.OIDC())
	d.Platform("xsale").AddSeller(demomarket.Seller{ID: "auth0|2", Login: "second@example.com"})
	d.Platform("xsale").AddUser("second@example.com", "second-password", "auth0|2")
	login := loginParameters("second-password")
	login["username"] = "second@example.com"
	id := claims(t, d.must(d.request("xsale", login)).text("id_token"))
	wantEqual(t, "subject", id["sub"], any("auth0|2"))
	wantEqual(t, "email", id["email"], any("second@example.com"))
	login["username"] = "nobody@example.com"
	wantError(t, d.must(d.request("xsale", login)), http.StatusForbidden, "invalid_grant")

	// The plain provider gives a refresh token to who asks for offline access.
	offline := map[string]string{
		"grant_type": "password", "username": demomarket.DefaultUser, "password": demomarket.DefaultPassword, "scope": "openid",
	}
	wantEqual(t, "refresh_token", d.must(d.request("oidc", offline)).text("refresh_token"), "")
	offline["scope"] = "openid offline_access"
	token := d.must(d.request("oidc", offline)).text("refresh_token")
	wantStatus(t, d.refresh("oidc", token), http.StatusOK)
}
