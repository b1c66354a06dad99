package demomarket_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestTokenRequestsAreJudgedStrictly(t *testing.T) {
	tests := map[string]struct {
		platform string
		change   func(*http.Request)
		status   int
		code     string
	}{
		"Allegro takes Basic and a form": {
			platform: "allegro", status: 200,
		},
		"Allegro refuses credentials in the body": {
			platform: "allegro", status: 401, code: "Unauthorized",
			change: func(r *http.Request) {
				r.Header.Del("Authorization")
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&client_id=demo-client&client_secret=demo-client-secret")
			},
		},
		"Allegro calls a wrong secret Unauthorized": {
			platform: "allegro", status: 401, code: "Unauthorized",
			change: func(r *http.Request) { r.SetBasicAuth(demomarket.DefaultClientID, "wrong") },
		},
		"Allegro refuses parameters in the query": {
			platform: "allegro", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				r.URL.RawQuery = "grant_type=refresh_token&refresh_token=seeded"
				setBody(r, "")
			},
		},
		"Allegro refuses JSON": {
			platform: "allegro", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				r.Header.Set("Content-Type", "application/json")
				setBody(r, `{"grant_type":"refresh_token","refresh_token":"seeded"}`)
			},
		},
		"two ways of client authentication at once": {
			platform: "ebay", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&client_secret=demo-client-secret")
			},
		},
		"a charset after the content type": {
			platform: "ebay", status: 200,
			change: func(r *http.Request) {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
			},
		},
		"no content type": {
			platform: "ebay", status: 400, code: "invalid_request",
			change: func(r *http.Request) { r.Header.Del("Content-Type") },
		},
		"a parameter twice": {
			platform: "ebay", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&refresh_token=seeded")
			},
		},
		"an empty parameter is none": {
			platform: "ebay", status: 200,
			change: func(r *http.Request) { setBody(r, "grant_type=refresh_token&refresh_token=seeded&scope=") },
		},
		"no grant type": {
			platform: "ebay", status: 400, code: "invalid_request",
			change: func(r *http.Request) { setBody(r, "refresh_token=seeded") },
		},
		"a grant type that the platform does not serve": {
			platform: "ebay", status: 400, code: "unsupported_grant_type",
			change: func(r *http.Request) { setBody(r, "grant_type=password&username=a&password=b") },
		},
		"GET": {
			platform: "ebay", status: 405, code: "invalid_request",
			change: func(r *http.Request) { r.Method = http.MethodGet },
		},
		"a body without end": {
			platform: "ebay", status: 400, code: "invalid_request",
			change: func(r *http.Request) { setBody(r, tooLong) },
		},
		"Amazon takes credentials in the body": {
			platform: "amazon", status: 200,
		},
		"Amazon refuses Basic": {
			platform: "amazon", status: 401, code: "invalid_client",
			change: func(r *http.Request) {
				setBody(r, "grant_type=refresh_token&refresh_token=seeded")
				r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
			},
		},
		"Amazon refuses scope beside a refresh token": {
			platform: "amazon", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&scope=sellingpartnerapi%3A%3Anotifications&client_id=demo-client&client_secret=demo-client-secret")
			},
		},
		"Amazon wants a scope for client credentials": {
			platform: "amazon", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				setBody(r, "grant_type=client_credentials&client_id=demo-client&client_secret=demo-client-secret")
			},
		},
		"the plain provider takes the body too": {
			platform: "oidc", status: 200,
			change: func(r *http.Request) {
				r.Header.Del("Authorization")
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&client_id=demo-client&client_secret=demo-client-secret")
			},
		},
		"another client's name beside Basic": {
			platform: "oidc", status: 400, code: "invalid_request",
			change: func(r *http.Request) {
				setBody(r, "grant_type=refresh_token&refresh_token=seeded&client_id=somebody-else")
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform(test.platform).SeedRefreshToken("seeded", "1")
			r := d.refreshRequest(test.platform, "seeded")
			if test.change != nil {
				test.change(r)
			}
			got := d.must(r)
			wantError(t, got, test.status, test.code)
			wantEqual(t, "Cache-Control", got.header.Get("Cache-Control"), "no-store")
		})
	}
}

func TestXSaleReadsOnlyStrictJSON(t *testing.T) {
	login := loginParameters(demomarket.DefaultPassword)
	login["client_id"], login["client_secret"] = demomarket.DefaultClientID, demomarket.DefaultClientSecret
	with := func(name, value string) map[string]string {
		changed := map[string]string{name: value}
		for known, value := range login {
			if known != name {
				changed[known] = value
			}
		}
		return changed
	}
	tests := map[string]struct {
		body        string
		contentType string
		status      int
		code        string
	}{
		"JSON":               {body: encodeJSON(t, login), status: 200},
		"a form":             {body: encodeForm(login), contentType: "application/x-www-form-urlencoded", status: 400, code: "invalid_request"},
		"JSON called a form": {body: encodeJSON(t, login), contentType: "application/x-www-form-urlencoded", status: 400, code: "invalid_request"},
		"no object":          {body: `["password"]`, status: 400, code: "invalid_request"},
		"a number":           {body: `{"grant_type":"password","client_id":1}`, status: 400, code: "invalid_request"},
		"a name twice":       {body: `{"grant_type":"password","grant_type":"password"}`, status: 400, code: "invalid_request"},
		"no end":             {body: `{"grant_type":"password"`, status: 400, code: "invalid_request"},
		"something after":    {body: encodeJSON(t, login) + "{}", status: 400, code: "invalid_request"},
		"no audience":        {body: encodeJSON(t, with("audience", "")), status: 400, code: "invalid_request"},
		"another audience":   {body: encodeJSON(t, with("audience", "https://other")), status: 403, code: "access_denied"},
		"a wrong secret":     {body: encodeJSON(t, with("client_secret", "wrong")), status: 401, code: "invalid_client"},
		"no such scope":      {body: encodeJSON(t, with("scope", "openid admin")), status: 400, code: "invalid_scope"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.XSale())
			r := newRequest(t, http.MethodPost, d.url+"/xsale/oauth/token", test.body)
			r.Header.Set("Content-Type", "application/json")
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			wantError(t, d.must(r), test.status, test.code)
		})
	}
}

func TestClientCredentials(t *testing.T) {
	tests := map[string]struct {
		scope     string
		tokenType string
	}{
		"allegro": {tokenType: "bearer"},
		"ebay":    {scope: "https://api.ebay.com/oauth/api_scope", tokenType: "Application Access Token"},
		"amazon":  {scope: "sellingpartnerapi::notifications", tokenType: "bearer"},
		"oidc":    {scope: "orders", tokenType: "Bearer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			got := d.must(d.request(name, map[string]string{"grant_type": "client_credentials", "scope": test.scope}))
			wantStatus(t, got, http.StatusOK)
			wantEqual(t, "token_type", got.text("token_type"), test.tokenType)
			wantEqual(t, "refresh_token", got.text("refresh_token"), "")
			wantEqual(t, "id_token", got.text("id_token"), "")
			wantEqual(t, "valid", d.Platform(name).AccessTokenValid(got.text("access_token")), true)
			d.Platform(name).RevokeGrants()
			wantEqual(t, "valid", d.Platform(name).AccessTokenValid(got.text("access_token")), true)
		})
	}
}

func TestClientSecrets(t *testing.T) {
	const reserved = "new/secret+with=reserved&characters"
	tests := map[string]struct {
		previousStillValid bool
		secret             string
		status             int
	}{
		"the new one":                  {secret: reserved, status: 200},
		"the old one":                  {secret: demomarket.DefaultClientSecret, status: 401},
		"the old one during overlap":   {secret: demomarket.DefaultClientSecret, previousStillValid: true, status: 200},
		"another one during overlap":   {secret: "another", previousStillValid: true, status: 401},
		"the new one, not URL-encoded": {secret: "raw", status: 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t, demomarket.Allegro())
			d.Platform("allegro").SetClientSecret(reserved, test.previousStillValid)
			d.Platform("allegro").SeedRefreshToken("seeded", "1")
			r := d.refreshRequest("allegro", "seeded")
			switch test.secret {
			case "raw":
				r.SetBasicAuth(demomarket.DefaultClientID, reserved)
			default:
				r.SetBasicAuth(demomarket.DefaultClientID, escape(test.secret))
			}
			wantStatus(t, d.must(r), test.status)
		})
	}
}

func TestARefreshTokenBelongsToItsClient(t *testing.T) {
	d := serve(t, demomarket.Allegro())
	d.Platform("allegro").AddClient("other-client", "other-secret")
	d.Platform("allegro").SeedRefreshToken("seeded", "1")
	r := d.refreshRequest("allegro", "seeded")
	r.SetBasicAuth("other-client", "other-secret")
	wantError(t, d.must(r), http.StatusBadRequest, "invalid_grant")
	wantStatus(t, d.refresh("allegro", "seeded"), http.StatusOK)
}

func TestWithoutRandomnessThereAreNoTokens(t *testing.T) {
	d := serveWith(t, demomarket.Options{Rand: strings.NewReader("too little")}, demomarket.EBay())
	d.Platform("ebay").SeedRefreshToken("seeded", "1")
	wantError(t, d.refresh("ebay", "seeded"), http.StatusInternalServerError, "server_error")
	wantEqual(t, "outcome", d.Platform("ebay").Requests()[0].Outcome, demomarket.ServerError)
}
