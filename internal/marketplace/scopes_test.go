package marketplace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestMissingScopes(t *testing.T) {
	tests := map[string]struct {
		asked, unreported []v1alpha1.Scope
		granted           string
		want              []string
	}{
		"all of them":                    {asked: []v1alpha1.Scope{"orders", "offers"}, granted: "offers orders"},
		"more than was asked for":        {asked: []v1alpha1.Scope{"orders"}, granted: "offers orders"},
		"an answer that names none":      {asked: []v1alpha1.Scope{"orders"}, granted: " "},
		"one less":                       {asked: []v1alpha1.Scope{"orders", "offers"}, granted: "orders", want: []string{"offers"}},
		"the switches of OpenID Connect": {asked: []v1alpha1.Scope{"openid", "offline_access", "orders"}, granted: "orders"},
		"nothing but a switch":           {asked: []v1alpha1.Scope{"orders"}, granted: "openid", want: []string{"orders"}},
		"scopes that look like switches": {
			asked: []v1alpha1.Scope{"openid2", "offline"}, granted: "orders", want: []string{"openid2", "offline"},
		},
		"one that is never named": {
			asked: []v1alpha1.Scope{"orders", "profile"}, unreported: []v1alpha1.Scope{"profile"}, granted: "orders",
		},
		"its namesake is": {
			asked: []v1alpha1.Scope{"profile:read"}, unreported: []v1alpha1.Scope{"profile"}, granted: "orders", want: []string{"profile:read"},
		},
		"all that begin alike": {
			asked: []v1alpha1.Scope{"write_orders", "write_", "read_orders"}, unreported: []v1alpha1.Scope{"write_*"}, granted: "x", want: []string{"read_orders"},
		},
		"any at all": {asked: []v1alpha1.Scope{"orders", "offers"}, unreported: []v1alpha1.Scope{"*"}, granted: "x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
				s.Scopes.Default, s.Scopes.Unreported = test.asked, test.unreported
			}), account())
			if diff := cmp.Diff(test.want, platform.MissingScopes(test.granted)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
