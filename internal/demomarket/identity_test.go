package demomarket_test

import (
	"net/http"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestIdentity(t *testing.T) {
	const accept = "application/vnd.allegro.public.v1+json"
	tests := map[string]struct {
		platform string
		path     string
		header   string // for the token
		prefix   string
		accept   string
		status   int
		field    string
		want     string
	}{
		"Allegro":                 {platform: "allegro", path: "/allegro/me", accept: accept, status: 200, field: "id", want: "44130512"},
		"Allegro's login":         {platform: "allegro", path: "/allegro/me", accept: accept, status: 200, field: "login", want: "my-shop"},
		"Allegro without Accept":  {platform: "allegro", path: "/allegro/me", accept: "application/json", status: 406},
		"eBay":                    {platform: "ebay", path: "/ebay/commerce/identity/v1/user/", status: 200, field: "userId", want: "fZkq3zLmTsW"},
		"eBay without the slash":  {platform: "ebay", path: "/ebay/commerce/identity/v1/user", status: 307},
		"eBay with a wrong token": {platform: "ebay", path: "/ebay/commerce/identity/v1/user/", prefix: "Bearer x", status: 401, field: "error", want: "invalid_token"},
		"eBay without Bearer":     {platform: "ebay", path: "/ebay/commerce/identity/v1/user/", prefix: "Basic ", status: 401, field: "error", want: "invalid_token"},
		"Amazon": {
			platform: "amazon", path: "/amazon/sellers/v1/marketplaceParticipations", header: "x-amz-access-token", status: 200,
		},
		"Amazon with Bearer": {platform: "amazon", path: "/amazon/sellers/v1/marketplaceParticipations", status: 403},
		"userinfo":           {platform: "oidc", path: "/oidc/userinfo", status: 200, field: "sub", want: "248289761001"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			market := d.Platform(test.platform)
			market.SeedRefreshToken("seeded", market.Seller().ID)
			token := d.refresh(test.platform, "seeded").text("access_token")
			header, prefix := test.header, ""
			if header == "" {
				header, prefix = "Authorization", "Bearer "
			}
			if test.prefix != "" {
				prefix = test.prefix
			}
			got := d.get(test.path, header, prefix+token, "Accept", test.accept)
			wantStatus(t, got, test.status)
			if test.field != "" {
				wantEqual(t, test.field, got.text(test.field), test.want)
			}
		})
	}
}

func TestIdentityWantsTheScopeAndASeller(t *testing.T) {
	d := serve(t)
	market := d.Platform("ebay")
	market.SeedRefreshToken("seeded", market.Seller().ID)
	narrow := d.must(d.request("ebay", map[string]string{
		"grant_type": "refresh_token", "refresh_token": "seeded", "scope": "https://api.ebay.com/oauth/api_scope",
	}))
	application := d.must(d.request("ebay", map[string]string{"grant_type": "client_credentials"}))
	for name, token := range map[string]string{
		"narrow": narrow.text("access_token"), "application": application.text("access_token"),
	} {
		got := d.get("/ebay/commerce/identity/v1/user/", "Authorization", "Bearer "+token)
		wantError(t, got, http.StatusForbidden, "insufficient_scope")
		wantEqual(t, name+" is valid", market.AccessTokenValid(token), true)
	}
	wantEqual(t, "identity requests", market.Report().Requests[demomarket.IdentityEndpoint], 2)
}

func TestASellerWhoChangesHisLoginKeepsHisID(t *testing.T) {
	d := serve(t)
	market := d.Platform("ebay")
	market.SeedRefreshToken("seeded", "second")
	token := d.refresh("ebay", "seeded").text("access_token")
	market.AddSeller(demomarket.Seller{ID: "second", Login: "renamed"})
	got := d.get("/ebay/commerce/identity/v1/user/", "Authorization", "Bearer "+token)
	wantEqual(t, "username", got.text("username"), "renamed")
	wantEqual(t, "userId", got.text("userId"), "second")
}
