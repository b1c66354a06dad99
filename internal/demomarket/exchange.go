package demomarket

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Endpoint is one kind of address that a platform serves.
type Endpoint string

// The endpoints, by which requests are counted and faults are aimed.
const (
	TokenEndpoint      Endpoint = "token"
	RevocationEndpoint Endpoint = "revocation"
	IdentityEndpoint   Endpoint = "identity"
	DiscoveryEndpoint  Endpoint = "discovery"
	KeysEndpoint       Endpoint = "keys"
	// AuthorizationEndpoint serves the pages on which a person logs in and consents, and sends him back.
	AuthorizationEndpoint Endpoint = "authorization"
	// StoreEndpoint serves the pages on which a person finds an application, and ConfirmationEndpoint is where that sends
	// him back.
	StoreEndpoint        Endpoint = "store"
	ConfirmationEndpoint Endpoint = "confirmation"
	// DeviceAuthorizationEndpoint gives out device codes, and DeviceEndpoint serves the pages where a person enters the
	// user code.
	DeviceAuthorizationEndpoint Endpoint = "device_authorization"
	DeviceEndpoint              Endpoint = "device"
)

// bodyLimit is more than any honest request needs.
const bodyLimit = 64 << 10

// exchange is a request on its way through a market: what was read from it, and what became of it.
type exchange struct {
	endpoint   Endpoint
	time       time.Time
	request    *http.Request
	parameters map[string]string // of the body; those of the query only when there is no body, or on pages
	unreadable *denial           // why the parameters could not be read as the platform wants them
	basic      *credentials      // nil without an Authorization: Basic header
	clientID   string            // set once the client is authenticated
	issuer     string

	injected  *Injected        // the fault that struck; nil when none did
	expiresIn string           // the fault's expires_in; empty leaves the platform's
	callback  func(url.Values) // the fault's change to the callback; nil makes none
	dropped   bool             // the fault meant the answer to be lost

	outcome   Outcome // empty until a handler decided
	judgement judgement
	pair      bool // a new refresh token is in force, and this answer alone holds it
	size      int  // of the answer that the handler wrote
	gone      bool // the client had left when the answer would have
	recorded  *Request
}

// judgement is what the refresh tokens had to say about a request.
type judgement int

const (
	ordinary judgement = iota
	reusedInGrace
	spentTwice
)

type exchangeKey struct{}

// exchangeOf returns the exchange that r belongs to.
func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// begin reads the request. The body is read to its end, since only then does net/http notice that a client went away.
func (m *Market) begin(endpoint Endpoint, r *http.Request) (*exchange, *http.Request) {
	x := &exchange{endpoint: endpoint, time: m.now(), issuer: m.issuer(r), basic: basicCredentials(r)}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	x.request = r
	switch endpoint {
	case TokenEndpoint, RevocationEndpoint:
		x.read(r, m.encoding(endpoint))
	case DeviceAuthorizationEndpoint:
		m.platform.Device.read(x, r)
	case AuthorizationEndpoint, StoreEndpoint, ConfirmationEndpoint, DeviceEndpoint:
		x.readPage(r)
	}
	m.noteSecrets(x)
	return x, r
}

// encoding is the platform's at its token endpoint, and always a form at revocation (RFC 7009 section 2.1).
func (m *Market) encoding(endpoint Endpoint) Encoding {
	if endpoint == RevocationEndpoint {
		return Form
	}
	return m.platform.Encoding
}

// read takes the parameters from the body as strictly as RFC 6749 section 3.2 allows.
func (x *exchange) read(r *http.Request, encoding Encoding) {
	body := x.readBody(r)
	if x.unreadable != nil {
		return
	}
	var err error
	x.parameters, err = decode(body, r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		x.unreadable = deny(MethodRefused, "the method must be POST")
	case r.URL.RawQuery != "":
		x.unreadable = deny(QueryRefused, "parameters must not be in the query")
	case mediaType(r) != encoding.mediaType() && (encoding != FormOrJSON || mediaType(r) != jsonType):
		x.unreadable = deny(InvalidRequest, "the content type must be "+encoding.mediaType())
	case err != nil:
		x.unreadable = deny(InvalidRequest, err.Error())
	}
	if len(x.parameters) == 0 {
		x.parameters, _ = decodeForm([]byte(r.URL.RawQuery)) // for the log alone: a query is refused
	}
}

// readAnywhere takes the parameters from a form, from the query, or from both.
func (x *exchange) readAnywhere(r *http.Request) {
	body := x.readBody(r)
	if x.unreadable != nil {
		return
	}
	var err error
	x.parameters, err = decodeForm([]byte(string(body) + "&" + r.URL.RawQuery))
	switch {
	case r.Method != http.MethodPost:
		x.unreadable = deny(MethodRefused, "the method must be POST")
	case len(body) > 0 && mediaType(r) != formType:
		x.unreadable = deny(InvalidRequest, "the content type must be "+formType)
	case err != nil:
		x.unreadable = deny(InvalidRequest, err.Error())
	}
}

// readPage takes the parameters from the query of a page, or from the form that was filled in on it.
func (x *exchange) readPage(r *http.Request) {
	given := []byte(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		given = x.readBody(r)
	}
	var err error
	if x.parameters, err = decodeForm(given); err != nil {
		x.unreadable = deny(InvalidRequest, err.Error())
	}
}

// readBody reads the body to its end, within the limit.
func (x *exchange) readBody(r *http.Request) []byte {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		x.unreadable = deny(InvalidRequest, "the body cannot be read")
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

// mediaType is the content type of the encoding.
func (e Encoding) mediaType() string {
	if e == JSON {
		return jsonType
	}
	return formType
}

// grant is the grant type that was asked for.
func (x *exchange) grant() string { return x.parameters["grant_type"] }

// scopes are those that were asked for, none when the request named none.
func (x *exchange) scopes() []string { return strings.Fields(x.parameters["scope"]) }
