package marketplace

import "strings"

// longestPrefix bounds the number in front of an access token.
const longestPrefix = 20

// AccountIDPrefix returns the number that an access token begins with, where the Marketplace says that it identifies the account; empty where there
// is none. Only digits count: an identifier is shown, and what makes a token secret must not be.
func (p *Platform) AccountIDPrefix(accessToken string) string {
	number, _, found := strings.Cut(accessToken, p.AccountIDPrefixEnd)
	if p.AccountIDPrefixEnd == "" || !found || len(number) > longestPrefix || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return number
}
