package demomarket_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestRotationWithGrace(t *testing.T) {
	tests := map[string]struct {
		after       time.Duration
		status      int
		graceReuses int
		spentTwice  int
	}{
		"at once":            {after: 0, status: 200, graceReuses: 1},
		"within the grace":   {after: 59 * time.Second, status: 200, graceReuses: 1},
		"after the grace":    {after: 61 * time.Second, status: 400, spentTwice: 1},
		"long after it":      {after: 24 * time.Hour, status: 400, spentTwice: 1},
		"at the grace's end": {after: 60 * time.Second, status: 400, spentTwice: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			allegro := d.Platform("allegro")
			allegro.SeedRefreshToken("seeded", "1")
			second := d.refresh("allegro", "seeded").text("refresh_token")
			d.clock.step(test.after)

			wantStatus(t, d.refresh("allegro", "seeded"), test.status)

			report := allegro.Report()
			wantEqual(t, "reuses within the grace", report.GraceReuses, test.graceReuses)
			wantEqual(t, "double spends", report.DoubleSpends, test.spentTwice)
			wantEqual(t, "live families", report.LiveFamilies, 1)
			wantStatus(t, d.refresh("allegro", second), http.StatusOK)
		})
	}
}

func TestOfTwoPairsMadeInTheGraceTheNewestLives(t *testing.T) {
	d := serve(t, demomarket.Allegro())
	allegro := d.Platform("allegro")
	allegro.SeedRefreshToken("seeded", "1")
	older, newest := d.refresh("allegro", "seeded"), d.refresh("allegro", "seeded")
	wantEqual(t, "older access token is valid", allegro.AccessTokenValid(older.text("access_token")), false)
	wantEqual(t, "newest access token is valid", allegro.AccessTokenValid(newest.text("access_token")), true)
	d.clock.step(61 * time.Second)
	wantError(t, d.refresh("allegro", older.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	wantStatus(t, d.refresh("allegro", newest.text("refresh_token")), http.StatusOK)
	wantEqual(t, "double spends", allegro.Report().DoubleSpends, 0)
}

func TestReuseDetectionEndsTheFamily(t *testing.T) {
	d := serve(t, demomarket.OIDC())
	oidc := d.Platform("oidc")
	oidc.SeedRefreshToken("seeded", "1")
	oidc.SeedRefreshToken("other consent", "1")
	second := d.refresh("oidc", "seeded")

	wantError(t, d.refresh("oidc", "seeded"), http.StatusBadRequest, "invalid_grant")

	wantEqual(t, "double spends", oidc.Report().DoubleSpends, 1)
	wantEqual(t, "live families", oidc.Report().LiveFamilies, 1)
	wantEqual(t, "access token is valid", oidc.AccessTokenValid(second.text("access_token")), false)
	wantEqual(t, "successor is valid", oidc.RefreshTokenValid(second.text("refresh_token")), false)
	wantError(t, d.refresh("oidc", second.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	wantEqual(t, "double spends", oidc.Report().DoubleSpends, 1)
	wantStatus(t, d.refresh("oidc", "other consent"), http.StatusOK)
}

func TestStaticAndEchoedTokensAreNeverSpent(t *testing.T) {
	for name, echoed := range map[string]string{"ebay": "", "amazon": "seeded"} {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform(name).SeedRefreshToken("seeded", "1")
			for range 3 {
				got := d.refresh(name, "seeded")
				wantStatus(t, got, http.StatusOK)
				wantEqual(t, "refresh_token", got.text("refresh_token"), echoed)
				if _, told := got.body["refresh_token_expires_in"]; told {
					t.Error("the refresh tells when the refresh token ends")
				}
				d.clock.step(time.Hour)
			}
			report := d.Platform(name).Report()
			wantEqual(t, "double spends and reuses", report.DoubleSpends+report.GraceReuses, 0)
			wantEqual(t, "refreshes", report.Count(demomarket.GrantRefreshToken, demomarket.OK), 3)
		})
	}
}

func TestRefreshTokensEnd(t *testing.T) {
	day := 24 * time.Hour
	tests := map[string]struct {
		platform string
		uses     []time.Duration // between one use and the next
		status   int             // of the last
	}{
		"Allegro's slides":               {platform: "allegro", uses: []time.Duration{89 * day, 89 * day, 89 * day}, status: 200},
		"Allegro's ends unused":          {platform: "allegro", uses: []time.Duration{89 * day, 90 * day}, status: 400},
		"eBay's lasts 547 days":          {platform: "ebay", uses: []time.Duration{547 * day}, status: 200},
		"eBay's does not slide":          {platform: "ebay", uses: []time.Duration{500 * day, 48 * day}, status: 400},
		"Amazon's consent lasts a year":  {platform: "amazon", uses: []time.Duration{200 * day, 166 * day}, status: 400},
		"the plain provider's slides":    {platform: "oidc", uses: []time.Duration{29 * day, 29 * day}, status: 200},
		"the plain provider's ends idle": {platform: "oidc", uses: []time.Duration{30 * day}, status: 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform(test.platform).SeedRefreshToken("seeded", "1")
			held := "seeded"
			var got answer
			for _, pause := range test.uses {
				d.clock.step(pause)
				got = d.refresh(test.platform, held)
				if next := got.text("refresh_token"); next != "" {
					held = next
				}
			}
			wantStatus(t, got, test.status)
		})
	}
}

func TestADeadRefreshTokenIsRefusedInThePlatformsWords(t *testing.T) {
	tests := map[string]string{
		"allegro": "Invalid refresh token: dead-token",
		"ebay":    "the provided authorization refresh token is invalid or was issued to another client",
		"amazon":  "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
		"oidc":    "the refresh token is dead",
	}
	for name, description := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform(name).SeedRefreshToken("dead-token", "1")
			d.Platform(name).RevokeGrants()
			got := d.refresh(name, "dead-token")
			wantError(t, got, http.StatusBadRequest, "invalid_grant")
			wantEqual(t, "error_description", got.text("error_description"), description)
			wantEqual(t, "double spends", d.Report().Total.DoubleSpends, 0)
		})
	}
}

func TestRefreshAnswers(t *testing.T) {
	d := serve(t)
	for _, name := range []string{"allegro", "ebay", "amazon", "oidc"} {
		d.Platform(name).SeedRefreshToken("seeded", d.Platform(name).Seller().ID)
	}
	allegro := d.refresh("allegro", "seeded")
	wantEqual(t, "expires_in", allegro.body["expires_in"], any(43199.0))
	wantEqual(t, "allegro_api", allegro.body["allegro_api"], any(true))
	wantEqual(t, "iss", allegro.text("iss"), d.url+"/allegro/")
	wantEqual(t, "scope is told", strings.Contains(allegro.text("scope"), "allegro:api:orders:read"), true)
	if len(allegro.text("jti")) == 0 {
		t.Error("jti is missing")
	}

	ebay := d.refresh("ebay", "seeded")
	wantEqual(t, "token_type", ebay.text("token_type"), "User Access Token")
	wantEqual(t, "expires_in", ebay.body["expires_in"], any(7200.0))
	wantEqual(t, "scope", ebay.text("scope"), "")
	if !strings.ContainsAny(ebay.text("access_token"), "^") || !strings.ContainsAny(ebay.text("access_token"), "#=") {
		t.Errorf("access token %q needs no escaping", ebay.text("access_token"))
	}

	wantEqual(t, "expires_in", d.refresh("amazon", "seeded").body["expires_in"], any(3600.0))
	oidc := d.refresh("oidc", "seeded")
	if oidc.text("id_token") == "" || oidc.text("refresh_token") == "" {
		t.Errorf("answer %s lacks a token", oidc.raw)
	}
}

func TestScopes(t *testing.T) {
	const read, write = "allegro:api:orders:read", "allegro:api:orders:write"
	tests := map[string]struct {
		platform demomarket.Platform
		asked    string
		status   int
		code     string
		told     string
	}{
		"Allegro grants less":             {platform: demomarket.Allegro(), asked: read, status: 200, told: read},
		"Allegro cuts what is not there":  {platform: demomarket.Allegro(), asked: read + " " + write + " nothing", status: 200, told: read + " " + write},
		"eBay grants less":                {platform: demomarket.EBay(), asked: "https://api.ebay.com/oauth/api_scope/sell.inventory", status: 200},
		"eBay refuses more, in one field": {platform: demomarket.EBay(), asked: "nothing", status: 400, code: "invalid_scope: The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client"},
		"the provider is silent on equal": {platform: demomarket.OIDC(), asked: "openid orders", status: 200},
		"the provider refuses more":       {platform: demomarket.OIDC(), asked: "openid admin", status: 400, code: "invalid_scope"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, test.platform)
			d.Platform(test.platform.Name).SeedRefreshToken("seeded", "1")
			got := d.must(d.request(test.platform.Name, map[string]string{
				"grant_type": "refresh_token", "refresh_token": "seeded", "scope": test.asked,
			}))
			wantError(t, got, test.status, test.code)
			wantEqual(t, "scope", got.text("scope"), test.told)
			if test.status != http.StatusOK {
				wantStatus(t, d.refresh(test.platform.Name, "seeded"), http.StatusOK)
			}
		})
	}
}

func TestARefreshEndsAllegrosOldAccessToken(t *testing.T) {
	d := serve(t)
	for name, survives := range map[string]bool{"allegro": false, "ebay": true, "oidc": true} {
		d.Platform(name).SeedRefreshToken("seeded", "1")
		first := d.refresh(name, "seeded")
		next := "seeded"
		if rotated := first.text("refresh_token"); rotated != "" {
			next = rotated
		}
		second := d.refresh(name, next)
		wantEqual(t, name+": first is valid", d.Platform(name).AccessTokenValid(first.text("access_token")), survives)
		wantEqual(t, name+": second is valid", d.Platform(name).AccessTokenValid(second.text("access_token")), true)
	}
}

func TestLifetimes(t *testing.T) {
	d := serveWith(t, demomarket.Options{Lifetimes: demomarket.Lifetimes{Access: 90 * time.Second}})
	ebay := d.Platform("ebay")
	ebay.SeedRefreshToken("seeded", "1")
	got := d.refresh("ebay", "seeded")
	wantEqual(t, "expires_in", got.body["expires_in"], any(90.0))
	d.clock.step(89 * time.Second)
	wantEqual(t, "valid after 89 s", ebay.AccessTokenValid(got.text("access_token")), true)
	d.clock.step(time.Second)
	wantEqual(t, "valid after 90 s", ebay.AccessTokenValid(got.text("access_token")), false)

	ebay.SetLifetimes(demomarket.Lifetimes{Access: 10 * time.Minute})
	wantEqual(t, "expires_in", d.refresh("ebay", "seeded").body["expires_in"], any(600.0))

	login := d.login(demomarket.DefaultPassword)
	id := claims(t, login.text("id_token"))
	wantEqual(t, "lifetime of the ID token", id["exp"].(float64)-id["iat"].(float64), 37) // 36000 of 86400, scaled
}

func TestAPlatformOfOnesOwn(t *testing.T) {
	mine := demomarket.OIDC()
	mine.Name = "mine"
	mine.ExpiresIn = `"{seconds}"`
	mine.TokenType = "mac"
	mine.RefreshToken.ExpiryField = "refresh_token_expires_in"
	mine.RefreshToken.ReuseGrace = 10 * time.Second
	mine.AccessToken.Signature = demomarket.ES256
	d := serve(t, append(demomarket.Platforms(), mine)...)
	token := d.Platform("mine").Grant("new-seller")
	got := d.refresh("mine", token)
	wantEqual(t, "expires_in", got.text("expires_in"), "3600")
	wantEqual(t, "token_type", got.text("token_type"), "mac")
	wantEqual(t, "refresh_token_expires_in", got.body["refresh_token_expires_in"], any(2592000.0))
	wantEqual(t, "sub", claims(t, got.text("access_token"))["sub"], any("new-seller"))
	wantStatus(t, d.refresh("mine", token), http.StatusOK)
	wantEqual(t, "names", strings.Join(d.Names(), " "), "allegro ebay amazon xsale oidc mine")
	if d.Platform("nobody") != nil {
		t.Error("there is a platform that was not given")
	}
}

func TestAGrantToAnotherApplication(t *testing.T) {
	d := serve(t, demomarket.Allegro())
	allegro := d.Platform("allegro")
	allegro.AddClient("other-client", "other-secret")
	allegro.SeedRefreshTokenFor("other-client", "seeded", "1")
	wantError(t, d.refresh("allegro", "seeded"), http.StatusBadRequest, "invalid_grant")
	request := d.refreshRequest("allegro", "seeded")
	request.SetBasicAuth("other-client", "other-secret")
	wantStatus(t, d.must(request), http.StatusOK)
	wantEqual(t, "double spends", allegro.Report().DoubleSpends, 0)
}
