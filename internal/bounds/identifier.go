package bounds

import "strings"

// Identifier keeps the identifier or the login of an account as it can be shown, and within the bounds that a status has.
func Identifier(text string) string {
	return strings.TrimSpace(Cut(strings.TrimSpace(Printable(text)), Name))
}
