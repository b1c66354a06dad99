package bounds

import "strings"

// Identifier keeps the identifier of an account as it can be shown, and within the bounds that a status has.
func Identifier(text string) string {
	return strings.TrimSpace(Cut(strings.TrimSpace(Printable(text)), Name))
}

// Login is Identifier for the name that people know an account by, of which no program makes a link.
func Login(text string) string { return Identifier(Plain(Identifier(text))) }
