package redact

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

const (
	// maxDescription is the longest description that is shown, in characters, and maxRead the longest that is read, in bytes.
	maxDescription = 200
	maxRead        = 4096
	// maxCode bounds an error code that is shown.
	maxCode = 40
	// shortestPart is the length from which a piece of a credential counts as the credential.
	shortestPart = 5
	// longestWord is the length beyond which a word is not one of a human language but a token, of any account.
	longestWord = 20
	redacted    = "[redacted]"
)

var (
	codePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}`)
	// wordPattern matches runs of the characters that tokens, codes and secrets are made of.
	wordPattern = regexp.MustCompile(`[A-Za-z0-9._~+/=|^#%$@!*-]+`)
	// percentPattern and unicodePattern match the escapes of URLs and of JSON.
	percentPattern = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	unicodePattern = regexp.MustCompile(`\\u[0-9A-Fa-f]{4}`)
)

// credentials must not be shown.
type credentials struct {
	// parts are all pieces of shortestPart bytes of all readings of them.
	parts map[string]bool
	// whole are the credentials that are too short to have parts.
	whole []string
}

func credentialsOf(secrets []string) credentials {
	c := credentials{parts: map[string]bool{}}
	for _, secret := range secrets {
		if secret != "" && len(secret) < shortestPart {
			c.whole = append(c.whole, secret)
		}
		for _, reading := range readings(secret) {
			for i := shortestPart; i <= len(reading); i++ {
				c.parts[reading[i-shortestPart:i]] = true
			}
		}
	}
	return c
}

// in tells whether text holds a credential or a part of one: in clear, or as a URL, HTML or JSON writes it.
func (c credentials) in(text string) bool {
	return slices.ContainsFunc(readings(text), func(reading string) bool {
		for i := shortestPart; i <= len(reading); i++ {
			if c.parts[reading[i-shortestPart:i]] {
				return true
			}
		}
		return slices.ContainsFunc(c.whole, func(secret string) bool { return holdsWord(reading, secret) })
	})
}

// holdsWord tells whether text holds word, and not within another word.
func holdsWord(text, word string) bool {
	alone, err := regexp.Compile(`(^|[^\pL\pN])` + regexp.QuoteMeta(word) + `($|[^\pL\pN])`)
	return err == nil && alone.MatchString(text)
}

// Code makes an error code fit to show. Some platforms put text behind the code in the same member, as in
// "invalid_scope: The requested scope …" (eBay); it is cut off.
func Code(code string, secrets []string) string {
	code = codePattern.FindString(code)
	if vocabulary[code] {
		return code
	}
	token := len(code) > longestWord && strings.ContainsAny(code, "0123456789")
	if len(code) > maxCode || token || credentialsOf(secrets).in(code+": ") { // as Error.Error writes it
		return ""
	}
	return code
}

// Description makes an answer's description fit to show: bounded, on one line, without addresses, and without anything
// that is, or looks like, a credential. Allegro repeats the refresh token in its descriptions.
func Description(text string, secrets []string) string {
	hidden := credentialsOf(secrets)
	words := strings.Fields(bounds.Printable(bounds.Cut(text, maxRead)))
	telling := make([]string, len(words)) // the words that could tell about a credential
	for i, word := range words {
		if vocabulary[strings.ToLower(strings.Trim(word, `.,:;!?"'()`))] {
			continue
		}
		switch {
		case hidden.in(word):
			words[i] = redacted
		case bounds.IsAddress(word):
			words[i] = bounds.AddressRemoved
			continue
		}
		words[i] = wordPattern.ReplaceAllStringFunc(words[i], func(run string) string {
			if len(run) > longestWord {
				return redacted
			}
			return run
		})
		telling[i] = words[i]
	}
	if hidden.in(": " + strings.Join(telling, " ") + " (") { // as Error.Error writes it
		return "" // a credential of several words
	}
	return short(strings.Join(words, " "))
}

// vocabulary are the codes that every platform knows and the words of which descriptions are made. They stay although
// a credential may hold them: to hide "password" would tell that the password does.
var vocabulary = setOf(`
	access access_denied access_token account application attempts authentication authorization
	authorization_pending authorized blocked client client_id client_secret code credentials denied device
	device_code disabled email error expired expired_token grant grant_type granted incorrect invalid
	invalid_client invalid_grant invalid_request invalid_scope invalid_target issued locked login marketplace
	mfa_required missing parameter password pending permission provided refresh refresh_token request requested
	revoked scope scopes secret seller server server_error session slow_down supplied temporarily_unavailable token
	tokens too_many_attempts too_many_requests unauthorized unauthorized_client unknown unsupported_grant_type user
	username wrong`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// maxReadings bounds how many ways there are to read a text. Ordinary text has one.
const maxReadings = 32

// readings are a text and its forms when escapes are undone, in any order and several times over.
func readings(text string) []string {
	all := []string{text}
	for i := 0; i < len(all) && len(all) < maxReadings; i++ {
		for _, unescape := range unescapes {
			if reading := unescape(all[i]); !slices.Contains(all, reading) {
				all = append(all, reading)
			}
		}
	}
	return all
}

// unescapes undo the escapes of HTML, JSON, URLs and forms.
var unescapes = []func(string) string{
	html.UnescapeString,
	func(text string) string {
		text = unicodePattern.ReplaceAllStringFunc(text, func(escape string) string {
			r, _ := strconv.ParseUint(escape[2:], 16, 16) // four hexadecimal digits
			return string(rune(r))
		})
		return strings.ReplaceAll(text, `\`, "")
	},
	func(text string) string {
		return percentPattern.ReplaceAllStringFunc(text, func(escape string) string {
			b, _ := strconv.ParseUint(escape[1:], 16, 8) // two hexadecimal digits
			return string([]byte{byte(b)})
		})
	},
	func(text string) string { return strings.ReplaceAll(text, "+", " ") },
}

// Line makes a text one short line that can be printed.
func Line(text string) string { return short(bounds.Printable(text)) }

// short bounds a text to the length of a description.
func short(text string) string { return bounds.ShortenCharacters(text, maxDescription) }

// LeadingCode is the error code that a text begins with; empty where it begins with none.
func LeadingCode(text string) string { return codePattern.FindString(text) }

// Holds tells whether a text holds one of the secrets or a part of one: in clear, or as a URL, HTML or JSON writes it.
func Holds(text string, secrets []string) bool { return credentialsOf(secrets).in(text) }
