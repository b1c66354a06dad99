package marketplace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// CheckSignature tells whether the platform has signed a callback with one of the client secrets, where it signs callbacks; nil where it does
// not. The text of its error holds nothing that the browser brought.
func (p *Platform) CheckSignature(query url.Values, clientSecrets ...string) error {
	name := p.authorization.Callback.HMAC
	if name == "" {
		return nil
	}
	told, err := only(query, name, maxParameter)
	if err != nil {
		return fmt.Errorf("the callback: %w", err)
	}
	signature, err := hex.DecodeString(told)
	if err != nil || told == "" {
		return fmt.Errorf("the callback has no signature in parameter %q", name)
	}
	for _, secret := range clientSecrets {
		if secret != "" && slices.ContainsFunc(signedTexts(query, name), func(text string) bool {
			sum := hmac.New(sha256.New, []byte(secret))
			sum.Write([]byte(text))
			return hmac.Equal(sum.Sum(nil), signature)
		}) {
			return nil
		}
	}
	return errors.New("the callback is not signed by the marketplace")
}

// plainly escapes the characters that would let one parameter pass for two.
var plainly = strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D")

// signedTexts are the texts that may have been signed of the parameters but the signature: sorted and joined, nearly plain or as a query has them.
// Shopify's page shows the first, and its libraries do the second; the two are the same for the values that it sends.
func signedTexts(query url.Values, signature string) []string {
	var plain, escaped []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name == signature {
			continue
		}
		for _, value := range query[name] {
			plain = append(plain, plainly.Replace(name)+"="+plainly.Replace(value))
			escaped = append(escaped, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
	}
	return []string{strings.Join(plain, "&"), strings.Join(escaped, "&")}
}
