package answer

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// Shape is the form of the body of an answer, whatever its content type claims.
type Shape int

const (
	// Other is anything else: text, XML, a list, half an object, more than is read.
	Other Shape = iota
	// Empty is no body.
	Empty
	// Page is a web page, which a firewall or a maintenance notice is.
	Page
	// Object is a JSON object without a token.
	Object
	// TokenSet is a JSON object with an access token, by its standard name.
	TokenSet
)

// ShapeOf tells the shape of a body. Text behind a complete object does not count, since the object may be the only copy.
func ShapeOf(body []byte) Shape {
	shape, _, _ := Read(body)
	return shape
}

// Read tells the shape of a body and, of an object, its members and its own part of the body.
func Read(body []byte) (shape Shape, members map[string]json.RawMessage, object []byte) {
	body = Trim(body)
	if len(body) == 0 {
		return Empty, nil, nil
	}
	if IsPage(body) {
		return Page, nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if !fewValues(body) || decoder.Decode(&members) != nil || members == nil {
		return Other, nil, nil
	}
	object = body[:decoder.InputOffset()]
	var token string
	if json.Unmarshal(members["access_token"], &token) == nil && token != "" {
		return TokenSet, members, object
	}
	return Object, members, object
}

// tokenMember matches a member of JSON that holds a token, by the names that platforms give it.
var tokenMember = regexp.MustCompile(`(?i)"(access|refresh)[_-]?token"\s*:`)

// IsPage tells whether a body is a web page that holds no tokens.
func IsPage(body []byte) bool {
	body = Trim(body)
	kind := http.DetectContentType(body)
	page := strings.HasPrefix(kind, "text/html") ||
		strings.HasPrefix(kind, "text/xml") && bytes.Contains(bytes.ToLower(body[:min(len(body), 1<<10)]), []byte("<html"))
	return page && !tokenMember.Match(body)
}

// Trim cuts a byte order mark and white space off the beginning and end of a body.
func Trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")))
}
