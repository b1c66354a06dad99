package bounds

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long a text the API takes, in bytes.
const (
	// Message is the message of a condition, and other text that is shown whole.
	Message = 1024
	// Name is a platform's name for an account.
	Name = 256
	// UserCode is what people are shown to type at a platform.
	UserCode = 64
)

// Printable makes a text one line of characters that can be seen: other spaces become common ones, and what cannot be printed, or was not
// text, is left out. All that platforms say goes through it before it is stored or shown.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
}

// Cut returns the first bytes of a text, as the API counts it, and no half of a character. It shares the memory of the text.
func Cut(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// Shorten returns a text of at most limit bytes, as the API counts it: of a longer one the beginning, and an ellipsis.
func Shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return Cut(text, limit-len("…")) + "…"
}

// CutCharacters returns the first characters of a text that people read, whatever bytes they take. It shares the memory of the text.
func CutCharacters(text string, limit int) string {
	for end := range text {
		if limit == 0 {
			return text[:end]
		}
		limit--
	}
	return text
}

// ShortenCharacters returns a text of at most limit characters that people read: of a longer one the beginning, and an ellipsis.
func ShortenCharacters(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return CutCharacters(text, limit-1) + "…"
}
