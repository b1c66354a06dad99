package dialect

import "github.com/tokenkeeper/tokenkeeper/internal/bounds"

// publishedName is the member of a standard answer that holds the values to publish.
const publishedName = "published"

// MaxPublished bounds in bytes the values of answers and callbacks that are published.
const MaxPublished = 1024

// publish takes the values to publish out of an answer. A token of the same answer is never published, whatever the Marketplace says.
func (d *dialect) publish(a unwrapped) {
	told := map[string]string{}
	for _, published := range d.Published {
		if published.Answer == "" {
			continue
		}
		if value := asText(a.member(published.Answer, "")); Publishable(value) && !a.isToken(value) {
			told[published.Key] = value
		}
	}
	if len(told) > 0 {
		a.standard[publishedName] = told
	}
}

// isToken tells whether a text is one of the tokens of the answer.
func (a unwrapped) isToken(text string) bool {
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if a.standard[name] == text {
			return true
		}
	}
	return false
}

// Publishable tells whether a text from outside may stand in the token Secret: it can be printed, and is not too long.
func Publishable(text string) bool {
	return text != "" && len(text) <= MaxPublished && bounds.Printable(text) == text
}
