package marketplace_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestWhatTellsAnAccount: each source by the field that names it, and nothing else.
func TestWhatTellsAnAccount(t *testing.T) {
	sources := map[string]func(*v1alpha1.MarketplaceSpec){
		marketplace.ByAnswer:   func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Fields.AccountID = "seller" },
		marketplace.ByCallback: func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.Callback.AccountID = "seller" },
		marketplace.ByPrefix:   func(s *v1alpha1.MarketplaceSpec) { s.Identity.AccessTokenPrefixEnd = "." },
		marketplace.ByIdentityRequest: func(s *v1alpha1.MarketplaceSpec) {
			s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://api.example.com/me", IDPath: "{.id}"}
		},
		"access token seller": func(s *v1alpha1.MarketplaceSpec) { s.Identity.AccessTokenClaim = "seller" },
		"ID token seller":     func(s *v1alpha1.MarketplaceSpec) { s.Identity.IDTokenClaim = "seller" },
		"":                    func(*v1alpha1.MarketplaceSpec) {},
	}
	for by, set := range sources {
		platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
			s.Identity, s.TokenResponse.Fields.AccountID, s.AuthorizationRequest.Callback.AccountID = v1alpha1.Identity{}, "", ""
			set(s)
		}), account())
		for other := range sources {
			if got, want := platform.Tells(other), other == by && by != ""; got != want {
				t.Errorf("a Marketplace with %q tells by %q: %v", by, other, got)
			}
		}
	}
}
