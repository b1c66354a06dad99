package platforms

import (
	"net/http"
	"time"
)

// Amazon is Login with Amazon for the Selling Partner API: credentials in the body alone, the same refresh token in
// every answer, no scope beside a refresh token, and a header of its own at the API. Its authorization requests and
// callbacks have names of their own, a browser that is logged in is never asked about the account, and the callback is
// the one place that tells the seller's id. A sign-in may begin in its store, too.
func Amazon() Platform {
	return Platform{
		Name: "amazon",
		Paths: Paths{
			Authorization: "/apps/authorize/consent",
			Store:         "/apps/store",
			Confirmation:  "/apps/authorize/confirm",
			Token:         "/auth/o2/token",
			Identity:      "/sellers/v1/marketplaceParticipations",
		},
		ClientAuthentication: Body,
		Encoding:             FormOrJSON, // SDKs send JSON
		Grants:               []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials},
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
		Authorization: Authorization{
			CodeLifetime:     5 * time.Minute,
			ClientParameter:  "application_id",
			Untyped:          true,
			RedirectOptional: true,
			Draft:            ParameterRule{Name: "version", Value: "beta"},
			CodeParameter:    "spapi_oauth_code",
			SellerParameter:  "selling_partner_id",
		},
		Store: Store{CallbackParameter: "amazon_callback_uri", StateParameter: "amazon_state"},
		Identity: Identity{
			TokenHeader: "X-Amz-Access-Token",
			Answer:      amazonParticipations,
			Denied:      amazonDenied(""),
			Unknown:     amazonDenied("The access token you provided is revoked, malformed or invalid."),
			Expired:     amazonDenied("The access token you provided has expired."),
		},
		Refusals: map[Outcome]Refusal{
			InvalidClient: {Status: http.StatusUnauthorized, Description: "Client authentication failed"},
			InvalidGrant: {
				Description: "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
				Fields:      amazonFields(),
			},
			InvalidCode: {
				Description: "The request has an invalid grant parameter : code",
				Fields:      amazonFields(),
			},
			UnknownClient:   {Description: "Error MD1000: the application is not known."},
			DraftMismatch:   {Description: "Error MD1000: a draft application needs version=beta, and a published one goes without."},
			UnknownRedirect: {Description: "Error MD5101: the redirect_uri is not registered."},
		},
		Seller:      Seller{ID: "A2EUQ1WTGCTBG2X", Login: "my-amazon-shop"},
		OtherSeller: Seller{ID: "A3PFZ9LQ4T7N2K", Login: "other-amazon-shop"},
	}
}

// amazonDenied is how the Selling Partner API refuses a token. SDKs look at the details to tell whether another one helps.
func amazonDenied(details string) Response {
	return Response{
		Status: http.StatusForbidden,
		Body:   `{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"` + details + `"}]}`,
	}
}

// amazonFields are in every error.
func amazonFields() map[string]any {
	return map[string]any{"error_index": "", "request_id": "8b5d3a52-0f5c-4f9e-9a59-0d3c5f7c2b11"}
}

// amazonParticipations lists marketplaces with the name of the store and, like the real one, does not say who the seller is.
func amazonParticipations(s Seller) any {
	return map[string]any{"payload": []any{map[string]any{
		"marketplace": map[string]any{
			"id": "A1PA6795UKMFR9", "countryCode": "DE", "name": "Amazon.de",
			"defaultCurrencyCode": "EUR", "defaultLanguageCode": "de_DE", "domainName": "www.amazon.de",
		},
		"storeName":     s.Login,
		"participation": map[string]any{"isParticipating": true, "hasSuspendedListings": false},
	}}}
}
