package bounds

import "regexp"

// AddressRemoved stands in a text for an address.
const AddressRemoved = "[address removed]"

// linkPattern matches the parts of a text by which programs know that they can make a link of it.
var linkPattern = regexp.MustCompile(`(?i)[a-z0-9+.-]*://|www\.|mailto:|javascript:`)

// IsAddress tells whether programs may make a link of a text, or of a part of it.
func IsAddress(text string) bool { return linkPattern.MatchString(text) }

// Plain returns a text without the parts by which programs make a link of it: of https://www.example.com example.com.
func Plain(text string) string {
	for IsAddress(text) {
		text = linkPattern.ReplaceAllString(text, "")
	}
	return text
}
