package dialect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// malformedError is an answer of success that cannot be used. Its text holds nothing of the answer but its size and type.
type malformedError struct {
	why string
	// foreign tells that the answer is not the platform's but a page that stands in front of it.
	foreign bool
}

func (e *malformedError) Error() string { return "the marketplace's answer " + e.why }

// FromPlatform tells whether the answer may be the platform's own. The method also tells a complete answer that makes
// no sense from a connection that broke.
func (e *malformedError) FromPlatform() bool { return !e.foreign }

// answer turns the platform's answer into a standard one.
func (d *dialect) answer(response *http.Response, translate func(map[string]any) map[string]any) (*http.Response, error) {
	arriving := response.Body
	defer func() { _ = arriving.Close() }()
	success := response.StatusCode/100 == 2
	body, broken := answer.ReadBody(arriving)
	members, err := decode(body, response.Header.Get("Content-Type"))
	switch {
	case err == nil: // a whole object counts, however the connection ended: it may be the only copy
	case success && broken != nil:
		return nil, broken // the rest of the answer is not known
	case success:
		return nil, err
	}
	standard := body // of a refusal that is not in JSON: its shape tells whether the platform spoke
	if answer.CheckSize(body) != nil && !answer.IsPage(body) {
		standard = nil // nobody is to decode it
	}
	if members != nil {
		translated := translate(members)
		if success {
			if name := unfitToken(translated); name != "" {
				return nil, &malformedError{why: "holds a member " + name + " with characters that no token has, or none that can be seen"}
			}
			if name := oversized(translated); name != "" {
				return nil, &malformedError{why: fmt.Sprintf("holds a member %s of more than %d KiB", name, bounds.Token>>10)}
			}
		}
		if standard, err = json.Marshal(translated); err != nil {
			return nil, err
		}
	}
	response.Header.Set("Content-Type", "application/json")
	response.Header.Del("Content-Length")
	response.Body = io.NopCloser(bytes.NewReader(standard))
	response.ContentLength = int64(len(standard))
	return response, nil
}

// decode reads a JSON object with numbers as they were written.
func decode(body []byte, contentType string) (map[string]any, error) {
	trimmed := answer.Trim(body)
	if err := answer.CheckSize(body); err != nil {
		return nil, &malformedError{why: err.Error()}
	}
	if len(trimmed) == 0 {
		return nil, &malformedError{why: "is empty"}
	}
	decoder := json.NewDecoder(bytes.NewReader(trimmed))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil || members == nil {
		media, _, _ := mime.ParseMediaType(contentType)
		return nil, &malformedError{why: fmt.Sprintf("is not a JSON object (content type %.60q)", media), foreign: answer.IsPage(body)}
	}
	return members, nil
}

// translate gives the members of a token answer their standard names and units, and drops all other members.
func (d *dialect) translate(members map[string]any) map[string]any {
	spec := &d.Response
	a := d.unwrap(members)
	fields := &spec.Fields
	a.text(fields.AccessToken, "access_token")
	a.text(fields.RefreshToken, "refresh_token")
	a.text(fields.IDToken, "id_token")
	a.text(fields.TokenType, "token_type")
	d.failure(a)
	if fields.AccountID != "" {
		a.text(fields.AccountID, "account_id")
	}
	if fields.Login != "" {
		a.text(fields.Login, "account_login")
	}
	if scope := scopeText(a.member(fields.Scope, "scope"), d.ScopeSeparator); scope != "" {
		a.standard["scope"] = scope
	}
	if spec.TokenType != "" {
		a.standard["token_type"] = spec.TokenType
	}
	if end := a.member(fields.ExpiresIn, "expires_in"); !d.TokensNeverEnd || !saysNone(end) {
		d.expiry(a.standard, "expires_in", end, d.TokenLifetime)
	}
	if end := a.member(fields.RefreshTokenExpiresIn, "refresh_token_expires_in"); !saysNone(end) {
		d.expiry(a.standard, "refresh_token_expires_in", end, d.AuthorizationLifetime)
	}
	if name := fields.RefreshTokenMaxExpiresIn; name != "" {
		if end := a.member(name, ""); !saysNone(end) {
			d.expiry(a.standard, "refresh_token_max_expires_in", end, d.AuthorizationMaxLifetime)
		}
	}
	d.publish(a)
	return a.standard
}

// failure translates the error code of an answer and its description. A code that means success is none.
func (s *Spec) failure(a unwrapped) {
	response := &s.Response
	if code := asText(a.member(response.Fields.Error, "error")); slices.Contains(response.SuccessCodes, code) {
		return
	}
	a.text(response.Fields.Error, "error")
	a.text(response.Fields.ErrorDescription, "error_description")
}

// hasCodes tells whether the platform has a word of its own for a failure, with which it may answer where other platforms have the status alone.
func (s *Spec) hasCodes() bool {
	return s.Response.Fields.Error != "" || len(s.Response.SuccessCodes) > 0
}

// saysFailure tells whether the platform says in its own words that a request failed, although the status says success.
func (s *Spec) saysFailure(members map[string]any) bool {
	a := s.unwrap(members)
	s.failure(a)
	return a.standard["error"] != nil
}

// revoked reads the answer to a revocation. Its status says enough (RFC 7009 section 2.2), but for a platform that sends a code with every
// answer.
func (d *dialect) revoked(response *http.Response) (*http.Response, error) {
	if response.StatusCode/100 != 2 || !d.hasCodes() {
		return response, nil
	}
	body, err := answer.ReadBody(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if members, err := decode(body, ""); err == nil && d.saysFailure(members) {
		response.StatusCode = http.StatusBadRequest
	}
	return response, nil
}

// translateDevice does the same with the answer to a device authorization request, whose names no platform changes.
func (d *dialect) translateDevice(members map[string]any) map[string]any {
	a := d.unwrap(members)
	for _, name := range []string{"device_code", "user_code", "verification_uri", "verification_url", "verification_uri_complete"} {
		a.text("", name)
	}
	d.failure(a)
	d.expiry(a.standard, "expires_in", a.member("", "expires_in"), 0)
	delete(a.standard, "expires_in"+Unreadable)                               // a code without an end has a short one
	interval, err := strconv.ParseFloat(asText(a.member("", "interval")), 64) // Allegro's documents have it as a string
	if err == nil && interval >= 1 && interval <= maxSeconds {
		a.standard["interval"] = int64(math.Ceil(interval))
	}
	return a.standard
}

// unfitToken names a member of a standard answer that should be a token and cannot be one; empty when there is none. Tokens
// are VSCHARs (RFC 6749 appendix A), so that they can stand in headers, and blanks alone are no token: one would take the
// place of the good token that it follows.
func unfitToken(standard map[string]any) string {
	if standard["access_token"] == nil && standard["device_code"] == nil {
		return "" // no success anyway, and its error code says more
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "token_type", "device_code"} {
		token, isText := standard[name].(string)
		if isText && (strings.TrimSpace(token) == "" || strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' })) {
			return name
		}
	}
	return ""
}

// oversized names a member of a standard answer that is too large to be kept; empty when there is none.
func oversized(standard map[string]any) string {
	if standard["access_token"] == nil && standard["device_code"] == nil {
		return "" // as above
	}
	for _, name := range slices.Sorted(maps.Keys(standard)) { // in order, so that the same member is named each time
		if text, isText := standard[name].(string); isText && len(text) > bounds.Token {
			return name
		}
	}
	return ""
}

// unwrapped is an answer that is being translated.
type unwrapped struct {
	inner, outer map[string]any // of the envelope, and around it
	standard     map[string]any
}

func (s *Spec) unwrap(members map[string]any) unwrapped {
	a := unwrapped{inner: members, outer: members, standard: map[string]any{}}
	if envelope := string(s.Response.Envelope); envelope != "" {
		if object, ok := lookup(members, envelope).(map[string]any); ok {
			a.inner = object
		}
	}
	return a
}

// member finds a member by the platform's name for it, by default the standard one. Errors often stand outside the
// envelope.
func (a unwrapped) member(field v1alpha1.AnswerField, standard string) any {
	name := cmp.Or(string(field), standard)
	if value := lookup(a.inner, name); value != nil {
		return value
	}
	return lookup(a.outer, name)
}

// text translates a member that is text, or a number that may be read as text.
func (a unwrapped) text(field v1alpha1.AnswerField, standard string) {
	if value := asText(a.member(field, standard)); value != "" {
		a.standard[standard] = value
	}
}

// lookup finds a member by its name, or by a path of names with dots between. A number is a place in a list.
func lookup(within any, path string) any {
	if object, ok := within.(map[string]any); ok && object[path] != nil {
		return object[path]
	}
	head, rest, deeper := strings.Cut(path, ".")
	inner := element(within, head)
	if !deeper || inner == nil {
		return inner
	}
	return lookup(inner, rest)
}

// element is what an object or a list holds by a name or a number; nil when it holds nothing there.
func element(within any, name string) any {
	switch within := within.(type) {
	case map[string]any:
		return within[name]
	case []any:
		if at, err := strconv.Atoi(name); err == nil && at >= 0 && at < len(within) {
			return within[at]
		}
	}
	return nil
}

func asText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

// notInScopes tells of a character that is in no scope (RFC 6749 appendix A.4, but for the quotation marks, which some platforms write around one).
func notInScopes(r rune) bool { return r <= ' ' || r > '~' }

// scopeText joins a scope with spaces, whatever the platform writes between, or however it lists it. What cannot be a scope is left out.
func scopeText(value any, separator string) string {
	text := asText(value)
	if list, ok := value.([]any); ok {
		items := make([]string, len(list))
		for i, item := range list {
			items[i] = asText(item)
		}
		text = strings.Join(items, " ")
	} else if separator != "" {
		text = strings.ReplaceAll(text, separator, " ")
	}
	return strings.Join(slices.DeleteFunc(strings.Fields(text), func(scope string) bool { return strings.ContainsFunc(scope, notInScopes) }), " ")
}
