package platforms

import (
	"net/http"
	"time"
)

// ebayScope begins every scope of eBay.
const ebayScope = "https://api.ebay.com/oauth/api_scope"

// EBay keeps one refresh token for eighteen months from the consent and never repeats it. Its token_type is no word
// that RFC 6750 knows, its tokens and codes hold characters that must be escaped, and a scope error is one field. Its
// redirect_uri is a name, and a person who declines is sent to an address of its own. What is sent there is not
// documented, so nothing is.
func EBay() Platform {
	return Platform{
		Name: "ebay",
		Paths: Paths{
			Authorization: "/oauth2/authorize",
			Token:         "/identity/v1/oauth2/token",
			Revocation:    "/identity/v1/oauth2/token/revoke",
			Identity:      "/commerce/identity/v1/user/",
		},
		ClientAuthentication: Basic,
		Grants:               []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials},
		Scopes: []string{
			ebayScope, ebayScope + "/sell.inventory", ebayScope + "/sell.account", ebayScope + "/sell.fulfillment",
			ebayScope + "/sell.marketing", ebayScope + "/sell.finances", ebayScope + "/sell.analytics.readonly",
			ebayScope + "/sell.payment.dispute", ebayScope + "/sell.stores", ebayScope + "/commerce.identity.readonly",
		},
		ApplicationScopes:    []string{ebayScope}, // a seller's are refused to an application
		ScopeAnswer:          ScopeNever,
		TokenType:            "User Access Token",
		ApplicationTokenType: "Application Access Token",
		AccessToken:          AccessToken{Lifetime: 7200 * time.Second, Prefix: "v^1.1#i^1#p^3#r^0#I^3#f^0#t^"},
		RefreshToken: RefreshToken{
			Lifetime:    47304000 * time.Second, // 547.5 days
			Grants:      []string{GrantAuthorizationCode},
			Prefix:      "v^1.1#i^1#p^3#r^1#I^3#f^0#t^",
			Rotation:    Static,
			ExpiryField: "refresh_token_expires_in",
		},
		Authorization: Authorization{
			CodeLifetime: 299 * time.Second,
			CodePrefix:   "v^1.1#i^1#f^0#r^1#p^3#I^3#t^",
			Prompts:      []string{"login"},
			CodeExpiry:   true,
			RuNames:      true,
			JSONErrors:   true,
		},
		Identity: Identity{
			Scope: ebayScope + "/commerce.identity.readonly",
			Unknown: Response{
				Status: http.StatusUnauthorized,
				Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}},
				// The first member is the standard's; eBay's own clients look at the second.
				Body: `{"error":"invalid_token","errors":[{"errorId":1001,"domain":"OAuth","category":"REQUEST","message":"Invalid access token",` +
					`"longMessage":"Invalid access token. Check the value of the Authorization HTTP request header."}]}`,
			},
			Answer: func(s Seller) any {
				return map[string]any{"userId": s.ID, "username": s.Login, "accountType": "BUSINESS"}
			},
		},
		Refusals: map[Outcome]Refusal{
			InvalidClient: {Status: http.StatusUnauthorized, Description: "client authentication failed"},
			InvalidGrant: {
				Description: "the provided authorization refresh token is invalid or was issued to another client",
			},
			InvalidCode: {
				Description: "the provided authorization grant code is invalid or was issued to another client",
			},
			InvalidScope: {
				Code: "invalid_scope: The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client",
				Bare: true,
			},
		},
		Seller:      Seller{ID: "fZkq3zLmTsW", Login: "my-ebay-shop"},
		OtherSeller: Seller{ID: "qWx8rTyUiOp", Login: "other-ebay-shop"},
	}
}
