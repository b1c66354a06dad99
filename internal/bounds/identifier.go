package bounds

import "strings"

// maxIdentifier is the longest identifier or login of an account that a status holds, in characters.
const maxIdentifier = 256

// Identifier keeps the identifier or the login of an account within the bounds that the schema of a status has.
func Identifier(text string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text))
	return string(runes[:min(len(runes), maxIdentifier)])
}
