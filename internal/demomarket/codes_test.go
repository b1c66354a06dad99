package demomarket_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestCodesEnd(t *testing.T) {
	tests := map[string]struct {
		platform string
		after    time.Duration
		status   int
	}{
		"Allegro's in time":   {"allegro", 9 * time.Second, http.StatusOK},
		"Allegro's too late":  {"allegro", 11 * time.Second, http.StatusBadRequest},
		"Allegro's at ten":    {"allegro", 10 * time.Second, http.StatusBadRequest},
		"eBay's in time":      {"ebay", 298 * time.Second, http.StatusOK},
		"eBay's too late":     {"ebay", 299 * time.Second, http.StatusBadRequest},
		"Amazon's in time":    {"amazon", 299 * time.Second, http.StatusOK},
		"Amazon's too late":   {"amazon", 300 * time.Second, http.StatusBadRequest},
		"plain ones in time":  {"oidc", 59 * time.Second, http.StatusOK},
		"plain ones too late": {"oidc", 60 * time.Second, http.StatusBadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			code := d.browser().signIn(d.link(test.platform), demomarket.DefaultUser).code(t)
			d.clock.step(test.after)
			got := d.exchange(test.platform, code)
			wantStatus(t, got, test.status)
			report := d.Platform(test.platform).Report()
			if test.status == http.StatusOK {
				wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Used: 1})
				return
			}
			wantEqual(t, "error", got.text("error"), "invalid_grant")
			wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Expired: 1})
			wantEqual(t, "refusals", report.Count(demomarket.GrantAuthorizationCode, demomarket.InvalidCode), 1)
		})
	}
}

func TestLifetimesOfCodesCanBeChanged(t *testing.T) {
	d := serveSites(t, demomarket.Options{Lifetimes: demomarket.Lifetimes{Code: time.Hour, DeviceCode: time.Minute}})
	code := d.browser().signIn(d.link("allegro"), demomarket.DefaultUser).code(t)
	wantEqual(t, "expires_in", d.device("allegro").text("expires_in"), "60")
	d.clock.step(59 * time.Minute)
	wantStatus(t, d.exchange("allegro", code), http.StatusOK)
	d.Platform("ebay").SetLifetimes(demomarket.Lifetimes{Code: time.Second})
	back := d.browser().signIn(d.link("ebay"), demomarket.DefaultUser)
	wantEqual(t, "expires_in", back.parameter("expires_in"), "1")
	d.clock.step(time.Second)
	wantStatus(t, d.exchange("ebay", back.code(t)), http.StatusBadRequest)
}

func TestACodeIsBoundToItsRequest(t *testing.T) {
	verifier := strings.Repeat("v", 43)
	challenge := map[string]string{"code_challenge": challengeOf(verifier), "code_challenge_method": "S256"}
	sent := func(value string) map[string]string { return map[string]string{"code_verifier": value} }
	tests := map[string]struct {
		platform string
		asked    map[string]string
		sent     map[string]string
		status   int
	}{
		"without PKCE":                    {platform: "oidc", status: 200},
		"with PKCE":                       {platform: "oidc", asked: challenge, sent: sent(verifier), status: 200},
		"Allegro with PKCE and Basic":     {platform: "allegro", asked: challenge, sent: sent(verifier), status: 200},
		"a wrong verifier":                {platform: "oidc", asked: challenge, sent: sent(strings.Repeat("w", 43)), status: 400},
		"no verifier":                     {platform: "oidc", asked: challenge, status: 400},
		"the challenge as verifier":       {platform: "oidc", asked: challenge, sent: sent(challengeOf(verifier)), status: 400},
		"a short verifier":                {platform: "oidc", asked: map[string]string{"code_challenge": challengeOf("v"), "code_challenge_method": "S256"}, sent: sent("v"), status: 400},
		"a verifier but no challenge":     {platform: "oidc", sent: sent(verifier), status: 400},
		"eBay does not look":              {platform: "ebay", asked: challenge, status: 200},
		"another redirect_uri":            {platform: "oidc", sent: map[string]string{"redirect_uri": portal + "/callback/allegro"}, status: 400},
		"no redirect_uri":                 {platform: "oidc", sent: map[string]string{"redirect_uri": ""}, status: 400},
		"the address instead of a RuName": {platform: "ebay", sent: map[string]string{"redirect_uri": portal + "/callback/ebay"}, status: 400},
		"no RuName":                       {platform: "ebay", sent: map[string]string{"redirect_uri": ""}, status: 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			code := d.browser().signIn(d.link(test.platform, test.asked), demomarket.DefaultUser).code(t)
			got := d.exchange(test.platform, code, test.sent)
			wantStatus(t, got, test.status)
			if test.status != http.StatusOK {
				wantError(t, got, http.StatusBadRequest, "invalid_grant")
				wantEqual(t, "codes", d.Platform(test.platform).Report().Codes, demomarket.CodeTally{Issued: 1})
			}
		})
	}
}

func TestCodesThatAreNone(t *testing.T) {
	d := serveSites(t)
	wantError(t, d.exchange("oidc", ""), http.StatusBadRequest, "invalid_request")
	wantError(t, d.exchange("oidc", "made-up"), http.StatusBadRequest, "invalid_grant")
	allegro := d.exchange("allegro", "made-up")
	wantError(t, allegro, http.StatusBadRequest, "invalid_grant")
	wantEqual(t, "Allegro's words", allegro.text("error_description"), "Invalid authorization code: made-up")
	amazon := d.exchange("amazon", "made-up")
	wantEqual(t, "Amazon's words", amazon.text("error_description"), "The request has an invalid grant parameter : code")

	// Of another platform, and of another application of the same.
	code := d.browser().signIn(d.link("allegro"), demomarket.DefaultUser).code(t)
	wantError(t, d.exchange("oidc", code), http.StatusBadRequest, "invalid_grant")
	d.Platform("allegro").AddClient("another-client", "another-secret")
	foreign := d.exchangeRequest("allegro", code)
	foreign.SetBasicAuth("another-client", "another-secret")
	wantError(t, d.must(foreign), http.StatusBadRequest, "invalid_grant")
	wantStatus(t, d.exchange("allegro", code), http.StatusOK)
}

func TestEBaysCodesAreEncodedOnce(t *testing.T) {
	d := serveSites(t)
	code := d.browser().signIn(d.link("ebay"), demomarket.DefaultUser).code(t)
	for _, character := range []string{"^", "#", "="} {
		if !strings.Contains(code, character) {
			t.Errorf("the code %q holds no %s", code, character)
		}
	}
	wantError(t, d.exchange("ebay", url.QueryEscape(code)), http.StatusBadRequest, "invalid_grant")
	wantStatus(t, d.exchange("ebay", code), http.StatusOK)
}

func TestACodeThatComesTwiceTakesBackWhatItGave(t *testing.T) {
	for platform := range sites {
		t.Run(platform, func(t *testing.T) {
			d := serveSites(t)
			market := d.Platform(platform)
			code := d.browser().signIn(d.link(platform), demomarket.DefaultUser).code(t)
			first := d.exchange(platform, code)
			wantStatus(t, first, http.StatusOK)
			renewed := d.refresh(platform, first.text("refresh_token"))
			wantStatus(t, renewed, http.StatusOK)

			wantError(t, d.exchange(platform, code), http.StatusBadRequest, "invalid_grant")
			wantEqual(t, "codes", market.Report().Codes, demomarket.CodeTally{Issued: 1, Used: 1, Reused: 1})
			for _, tokens := range []answer{first, renewed} {
				wantEqual(t, "access token is valid", market.AccessTokenValid(tokens.text("access_token")), false)
				wantEqual(t, "refresh token is valid", market.RefreshTokenValid(tokens.text("refresh_token")), false)
			}
			d.clock.step(time.Hour)
			d.exchange(platform, code)
			wantEqual(t, "reuses", market.Report().Codes.Reused, 2)
		})
	}
}

// TestACodeThatComesTwiceWhileItsTokensAreMade presents it again after the first request used it and before its tokens
// are in force.
func TestACodeThatComesTwiceWhileItsTokensAreMade(t *testing.T) {
	platform := demomarket.OIDC()
	claimsOf, again := platform.AccessToken.Claims, func() {}
	platform.AccessToken.Claims = func(f demomarket.Facts) map[string]any {
		again()
		return claimsOf(f)
	}
	d := serve(t, platform)
	d.SeedPortal(portal)
	code := d.browser().signIn(d.link("oidc"), demomarket.DefaultUser).code(t)
	again = func() { wantStatus(t, d.exchange("oidc", code), http.StatusBadRequest) }
	got := d.exchange("oidc", code)
	wantStatus(t, got, http.StatusOK)
	wantEqual(t, "access token is valid", d.Platform("oidc").AccessTokenValid(got.text("access_token")), false)
	wantEqual(t, "live families", d.Platform("oidc").Report().LiveFamilies, 0)
}

func TestOfManyThatExchangeOneCodeNobodyKeepsTokens(t *testing.T) {
	const clients = 8
	d := serveSites(t)
	code := d.browser().signIn(d.link("oidc"), demomarket.DefaultUser).code(t)
	requests := make([]*http.Request, clients)
	for i := range requests {
		requests[i] = d.exchangeRequest("oidc", code)
	}
	var all sync.WaitGroup
	for _, request := range requests {
		all.Go(func() { _, _ = d.do(request) })
	}
	all.Wait()
	report := d.Platform("oidc").Report()
	wantEqual(t, "exchanges", report.Count("", demomarket.OK), 1)
	wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Used: 1, Reused: clients - 1})
	wantEqual(t, "live families", report.LiveFamilies, 0)
}

func TestAllegroTakesAVerifierInPlaceOfTheSecret(t *testing.T) {
	verifier := strings.Repeat("v", 128)
	challenge := map[string]string{"code_challenge": challengeOf(verifier), "code_challenge_method": "S256"}
	sent := map[string]string{"code_verifier": verifier, "client_id": demomarket.DefaultClientID}
	tests := map[string]struct {
		platform string
		asked    map[string]string
		sent     map[string]string
		status   int
	}{
		"as documented":        {"allegro", challenge, sent, http.StatusOK},
		"without a challenge":  {"allegro", nil, sent, http.StatusBadRequest},
		"without a verifier":   {"allegro", challenge, map[string]string{"client_id": demomarket.DefaultClientID}, http.StatusUnauthorized},
		"as another client":    {"allegro", challenge, map[string]string{"code_verifier": verifier, "client_id": "x"}, http.StatusUnauthorized},
		"at another platform":  {"oidc", challenge, sent, http.StatusUnauthorized},
		"with the wrong proof": {"allegro", challenge, map[string]string{"code_verifier": verifier[1:], "client_id": demomarket.DefaultClientID}, http.StatusBadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			code := d.browser().signIn(d.link(test.platform, test.asked), demomarket.DefaultUser).code(t)
			r := d.exchangeRequest(test.platform, code, test.sent)
			r.Header.Del("Authorization")
			wantStatus(t, d.must(r), test.status)
		})
	}
}

func TestAPublicApplicationNeedsPKCE(t *testing.T) {
	d := serveSites(t)
	d.Platform("oidc").AddClient("public-client", "")
	d.Platform("oidc").AddRedirectURI("public-client", portal)
	public := map[string]string{"client_id": "public-client", "redirect_uri": portal}
	d.browser().open(d.link("oidc", public)).wantParameters(t, map[string]string{
		"error": "invalid_request", "error_description": "code_challenge is missing", "iss": "*",
	})
	verifier := strings.Repeat("v", 43)
	challenge := map[string]string{"code_challenge": challengeOf(verifier), "code_challenge_method": "S256"}
	code := d.browser().signIn(d.link("oidc", public, challenge), demomarket.DefaultUser).code(t)
	r := d.exchangeRequest("oidc", code, public, map[string]string{"code_verifier": verifier})
	r.Header.Del("Authorization")
	wantStatus(t, d.must(r), http.StatusOK)

	strict := demomarket.OIDC()
	strict.Authorization.PKCE = demomarket.RequiredPKCE
	d = serve(t, strict)
	d.SeedPortal(portal)
	wantEqual(t, "error", d.browser().open(d.link("oidc")).wantRedirect(t).parameter("error"), "invalid_request")
}

func TestAnExchangeWhoseAnswerIsLostIsALostPair(t *testing.T) {
	d := serveSites(t)
	code := d.browser().signIn(d.link("allegro"), demomarket.DefaultUser).code(t)
	d.Platform("allegro").Inject(demomarket.DropAfterCommit().Once())
	if _, err := d.do(d.exchangeRequest("allegro", code)); err == nil {
		t.Fatal("the answer arrived")
	}
	d.settle()
	report := d.Platform("allegro").Report()
	wantEqual(t, "lost pairs", report.LostPairs, 1)
	wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Used: 1})
}

func TestCodesAreSecretAndUserCodesAreNot(t *testing.T) {
	d := serveSites(t)
	code := d.browser().signIn(d.link("ebay"), demomarket.DefaultUser).code(t)
	device := d.device("allegro")
	d.get("/allegro/skojarz-aplikacje?code=" + device.text("user_code"))
	d.exchange("oidc", "presented-code", map[string]string{"code_verifier": "presented-verifier"})
	d.poll("oidc", "presented-device-code")

	secrets := d.Secrets()
	for _, value := range []string{
		code, url.QueryEscape(code), device.text("device_code"), "presented-code", "presented-verifier", "presented-device-code",
	} {
		if !slices.Contains(secrets, value) {
			t.Errorf("%q is not among the secrets", value)
		}
	}
	if slices.Contains(secrets, device.text("user_code")) {
		t.Error("a user code is among the secrets")
	}
}

// challengeOf is the S256 challenge of a verifier (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	hashed := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(hashed[:])
}
