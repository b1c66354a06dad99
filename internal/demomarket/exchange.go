package demomarket

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// bodyLimit is more than any honest request needs.
const bodyLimit = 64 << 10

type exchangeKey struct{}

// exchangeOf returns the exchange that r belongs to.
func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// read takes the parameters from the body as strictly as RFC 6749 section 3.2 allows.
func (x *exchange) read(r *http.Request, encoding platforms.Encoding) {
	body := x.readBody(r)
	if x.unreadable != nil {
		return
	}
	var err error
	x.parameters, err = wire.Decode(body, r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		x.unreadable = deny(platforms.MethodRefused, "the method must be POST")
	case r.URL.RawQuery != "":
		x.unreadable = deny(platforms.QueryRefused, "parameters must not be in the query")
	case mediaType(r) != mediaTypeOf(encoding) && (encoding != platforms.FormOrJSON || mediaType(r) != wire.JSONType):
		x.unreadable = deny(platforms.InvalidRequest, "the content type must be "+mediaTypeOf(encoding))
	case err != nil:
		x.unreadable = deny(platforms.InvalidRequest, err.Error())
	}
	if len(x.parameters) == 0 {
		x.parameters, _ = wire.DecodeForm([]byte(r.URL.RawQuery)) // for the log alone: a query is refused
	}
}

// readAnywhere takes the parameters from a form, from the query, or from both.
func (x *exchange) readAnywhere(r *http.Request) {
	body := x.readBody(r)
	if x.unreadable != nil {
		return
	}
	var err error
	x.parameters, err = wire.DecodeForm([]byte(string(body) + "&" + r.URL.RawQuery))
	switch {
	case r.Method != http.MethodPost:
		x.unreadable = deny(platforms.MethodRefused, "the method must be POST")
	case len(body) > 0 && mediaType(r) != wire.FormType:
		x.unreadable = deny(platforms.InvalidRequest, "the content type must be "+wire.FormType)
	case err != nil:
		x.unreadable = deny(platforms.InvalidRequest, err.Error())
	}
}

// readPage takes the parameters from the query of a page, or from the form that was filled in on it.
func (x *exchange) readPage(r *http.Request) {
	given := []byte(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		given = x.readBody(r)
	}
	var err error
	if x.parameters, err = wire.DecodeForm(given); err != nil {
		x.unreadable = deny(platforms.InvalidRequest, err.Error())
	}
}

// readBody reads the body to its end, within the limit.
func (x *exchange) readBody(r *http.Request) []byte {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		x.unreadable = deny(platforms.InvalidRequest, "the body cannot be read")
		return nil
	}
	return body
}

// mediaType is the request's content type without parameters such as charset.
func mediaType(r *http.Request) string {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// mediaTypeOf is the content type of an encoding.
func mediaTypeOf(e platforms.Encoding) string {
	if e == platforms.JSON {
		return wire.JSONType
	}
	return wire.FormType
}

// grant is the grant type that was asked for.
func (x *exchange) grant() string { return x.parameters["grant_type"] }

// scopes are the scopes that were asked for, none when the request named none.
func (x *exchange) scopes() []string { return strings.Fields(x.parameters["scope"]) }

// basicCredentials reads the header, whose parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
// Nil means that there is none. A part that cannot be decoded is taken as it stands, and then fits no client.
func basicCredentials(r *http.Request) *credentials {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return nil
	}
	return &credentials{id: formDecoded(id), secret: formDecoded(secret)}
}

// formDecoded undoes the encoding of one part.
func formDecoded(part string) string {
	decoded, err := url.QueryUnescape(part)
	if err != nil {
		return part
	}
	return decoded
}
