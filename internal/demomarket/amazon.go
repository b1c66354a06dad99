package demomarket

import (
	"net/http"
	"time"
)

// Amazon is Login with Amazon for the Selling Partner API: credentials in the body alone, the same refresh token in
// every answer, no scope beside a refresh token, and a header of its own at the API.
func Amazon() Platform {
	return Platform{
		Name:                 "amazon",
		Paths:                Paths{Token: "/auth/o2/token", Identity: "/sellers/v1/marketplaceParticipations"},
		ClientAuthentication: Body,
		Grants:               []string{GrantRefreshToken, GrantClientCredentials},
		Parameters: []ParameterRule{
			{Grant: GrantRefreshToken, Name: "scope", Forbidden: true},
			{Grant: GrantClientCredentials, Name: "scope"},
		},
		Scopes: []string{
			"sellingpartnerapi::notifications", "sellingpartnerapi::migration",
			"sellingpartnerapi::client_credential:rotation",
		},
		ScopeAnswer: ScopeNever,
		TokenType:   "bearer",
		AccessToken: AccessToken{Lifetime: 3600 * time.Second, Prefix: "Atza|"},
		RefreshToken: RefreshToken{
			Lifetime: 8760 * time.Hour, // consent to a public application ends after 365 days
			Grants:   []string{GrantAuthorizationCode},
			Prefix:   "Atzr|",
			Rotation: Echo,
		},
		Identity: Identity{
			TokenHeader: "X-Amz-Access-Token",
			Answer:      amazonParticipations,
			Denied: Response{
				Status: http.StatusForbidden,
				Body:   `{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":""}]}`,
			},
		},
		Refusals: map[Outcome]Refusal{
			InvalidClient: {Status: http.StatusUnauthorized, Description: "Client authentication failed"},
			InvalidGrant: {
				Description: "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
				Fields:      map[string]any{"error_index": "", "request_id": "8b5d3a52-0f5c-4f9e-9a59-0d3c5f7c2b11"},
			},
		},
		Seller: Seller{ID: "A2EUQ1WTGCTBG2X", Login: "my-amazon-shop"},
	}
}

// amazonParticipations lists marketplaces and, like the real one, does not say who the seller is.
func amazonParticipations(Seller) any {
	return map[string]any{"payload": []any{map[string]any{
		"marketplace": map[string]any{
			"id": "A1PA6795UKMFR9", "countryCode": "DE", "name": "Amazon.de",
			"defaultCurrencyCode": "EUR", "defaultLanguageCode": "de_DE", "domainName": "www.amazon.de",
		},
		"participation": map[string]any{"isParticipating": true, "hasSuspendedListings": false},
	}}}
}
