package demomarket_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusalsThatSDKsKnow are what the clients of the platforms look at: amazon-sp-api at the details, ebay-api at the errorId.
func TestRefusalsThatSDKsKnow(t *testing.T) {
	tests := map[string]struct {
		platform, path, header, prefix string
		status                         int
		unknown, expired               string
	}{
		"Amazon": {
			"amazon", "/amazon/sellers/v1/marketplaceParticipations", "x-amz-access-token", "", http.StatusForbidden,
			"The access token you provided is revoked, malformed or invalid.", "The access token you provided has expired.",
		},
		"eBay": {"ebay", "/ebay/commerce/identity/v1/user/", "Authorization", "Bearer ", http.StatusUnauthorized, `"errorId":1001`, `"errorId":1001`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			market := d.Platform(test.platform)
			market.SeedRefreshToken("seeded", market.Seller().ID)
			token := d.refresh(test.platform, "seeded").text("access_token")
			unknown := d.get(test.path, test.header, test.prefix+"none")
			wantStatus(t, unknown, test.status)
			if !strings.Contains(unknown.raw, test.unknown) {
				t.Errorf("a token that is none is refused by %s", unknown.raw)
			}
			wantStatus(t, d.get(test.path, test.header, test.prefix+token), http.StatusOK)
			d.clock.step(3 * time.Hour)
			expired := d.get(test.path, test.header, test.prefix+token)
			wantStatus(t, expired, test.status)
			if !strings.Contains(expired.raw, test.expired) {
				t.Errorf("an expired token is refused by %s", expired.raw)
			}
			var object map[string]any
			if err := json.Unmarshal([]byte(expired.raw), &object); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAmazonTakesJSON as Login with Amazon does from the SDK that most sellers' programs use.
func TestAmazonTakesJSON(t *testing.T) {
	d := serve(t)
	market := d.Platform("amazon")
	market.SeedRefreshToken("seeded", market.Seller().ID)
	for contentType, want := range map[string]int{"application/json": http.StatusOK, "application/json; charset=utf-8": http.StatusOK, "text/plain": http.StatusBadRequest} {
		body := `{"grant_type":"refresh_token","refresh_token":"seeded","client_id":"demo-client","client_secret":"demo-client-secret"}`
		response, err := http.Post(d.url+"/amazon/auth/o2/token", contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: HTTP %d, want %d", contentType, response.StatusCode, want)
		}
	}
	if status := d.refresh("amazon", "seeded").status; status != http.StatusOK {
		t.Errorf("a form: HTTP %d", status)
	}
}

// TestAnApplicationHasNoSellersScopes at eBay, whoever asks.
func TestAnApplicationHasNoSellersScopes(t *testing.T) {
	d := serve(t)
	ask := func(scope string) answer {
		return d.must(d.request("ebay", map[string]string{"grant_type": "client_credentials", "scope": scope}))
	}
	const base = "https://api.ebay.com/oauth/api_scope"
	wantStatus(t, ask(base), http.StatusOK)
	for _, scope := range []string{base + "/sell.inventory", base + " " + base + "/sell.account"} {
		refused := ask(scope)
		wantStatus(t, refused, http.StatusBadRequest)
		if !strings.Contains(refused.raw, "invalid_scope") {
			t.Errorf("%s: %s", scope, refused.raw)
		}
	}
}
