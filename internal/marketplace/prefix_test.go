package marketplace_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestAccountIDPrefix(t *testing.T) {
	for name, test := range map[string]struct{ end, token, want string }{
		"a number":                              {".", "12345678.secret.more", "12345678"},
		"the longest number":                    {".", "12345678901234567890.secret", "12345678901234567890"},
		"a number that is too long":             {".", "123456789012345678901.secret", ""},
		"letters, which may be secret":          {".", "12345678a.secret", ""},
		"the header of a JWT":                   {".", "eyJhbGciOiJub25lIn0.e30.secret", ""},
		"nothing in front":                      {".", ".secret", ""},
		"a token that is a number":              {".", "12345678", ""},
		"another sign":                          {":", "12345678.secret", ""},
		"a Marketplace that knows of no prefix": {"", "12345678.secret", ""},
	} {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.Identity.AccessTokenPrefixEnd = test.end }), account())
			if got := platform.AccountIDPrefix(test.token); got != test.want {
				t.Errorf("the account is %q, want %q", got, test.want)
			}
		})
	}
}
