package dialect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// userAgent names tokenkeeper to platforms, and to the firewalls in front of them. A Marketplace's headers may replace it.
const userAgent = "tokenkeeper (+https://github.com/tokenkeeper/tokenkeeper)"

// Spec is how a platform speaks, as its Marketplace has it, with every name filled in but those of package placeholder.
type Spec struct {
	// Request and Response are the differences of token requests and their answers from the standard.
	Request  v1alpha1.TokenRequest
	Response v1alpha1.TokenResponse
	// Identity is the call that tests a token; nil where there is none.
	Identity *v1alpha1.IdentityRequest
	// Published are the members of answers that are published.
	Published []v1alpha1.PublishedKey
	// ScopeSeparator stands between scopes; empty means a space.
	ScopeSeparator string
	// RefreshURL is the address of requests with a refresh token, where that is another one.
	RefreshURL string
	// OmitRedirectURI tells that the authorization request had no redirect_uri.
	OmitRedirectURI bool
	// ClientID is the application, and AccountID the platform's identifier of the account; empty where it is not known yet.
	ClientID, AccountID string
	// TokenLifetime, AuthorizationLifetime and AuthorizationMaxLifetime are the usual lifetimes; zero where the Marketplace names none.
	TokenLifetime, AuthorizationLifetime, AuthorizationMaxLifetime time.Duration
	// TokensNeverEnd tells that access tokens of the platform do not end, so that an answer may write their end as none.
	TokensNeverEnd bool
}

// Transport returns a transport that takes standard form requests to the token, revocation and device authorization
// endpoints, with client_id and client_secret among the parameters, sends them by next the way the platform wants them,
// and returns answers as RFC 6749 section 5 and RFC 8628 section 3.2 have them. An answer that is none comes back as an
// error with a method FromPlatform. It never repeats a request.
func (s *Spec) Transport(next http.RoundTripper, now func() time.Time) http.RoundTripper {
	return &dialect{Spec: s, next: next, now: now}
}

type dialect struct {
	*Spec
	next http.RoundTripper
	now  func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (d *dialect) RoundTrip(standard *http.Request) (*http.Response, error) {
	form, err := readForm(standard)
	if err != nil {
		return nil, err
	}
	asked := purposeOf(form)
	request, err := d.request(standard, form, asked)
	if err != nil {
		return nil, err
	}
	response, err := d.next.RoundTrip(request)
	switch {
	case err != nil:
		return response, err
	case asked == toRevoke:
		return d.revoked(response)
	case asked == toBeginDevice:
		return d.answer(response, d.translateDevice)
	}
	return d.answer(response, d.translate)
}

// purpose is what a standard request is for.
type purpose int

const (
	forTokens     purpose = iota // RFC 6749 section 3.2
	toRevoke                     // RFC 7009 section 2.1
	toBeginDevice                // RFC 8628 section 3.1
)

// purposeOf tells the purpose of a request by a parameter that only one of the three has. The address would not do, since two endpoints may
// share one.
func purposeOf(form url.Values) purpose {
	switch {
	case form.Has("grant_type"):
		return forTokens
	case form.Has("token"):
		return toRevoke
	}
	return toBeginDevice
}

func readForm(request *http.Request) (url.Values, error) {
	if request.Body == nil {
		return url.Values{}, nil
	}
	defer func() { _ = request.Body.Close() }()
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(string(body))
}

// request writes the platform's request.
func (d *dialect) request(standard *http.Request, form url.Values, asked purpose) (*http.Request, error) {
	spec := &d.Request
	header := http.Header{"Accept": {"application/json"}, "User-Agent": {userAgent}}
	if agent := standard.Header.Get("User-Agent"); agent != "" {
		header.Set("User-Agent", agent)
	}
	clientID := form.Get("client_id")
	known := placeholder.Known{ClientID: clientID, AccountID: d.AccountID}
	grant := grantOf(form.Get("grant_type"))
	authenticate(spec.ClientAuthentication, form, header)
	if d.OmitRedirectURI {
		form.Del("redirect_uri") // the authorization request had none (RFC 6749 section 4.1.3)
	}
	if asked == toBeginDevice {
		form.Set("client_id", clientID) // also with Basic: Allegro demands it there
	}
	if scope := form.Get("scope"); scope != "" && d.ScopeSeparator != "" {
		form.Set("scope", strings.ReplaceAll(scope, " ", d.ScopeSeparator))
	}
	d.addParameters(form, asked, known)
	form = Renamed(form, spec.Rename)
	for _, extra := range spec.Headers {
		if value, ok := known.Header(extra.Value); ok {
			header.Set(extra.Name, value)
		}
	}
	address := standard.URL.String()
	if grant == v1alpha1.GrantRefreshToken && d.RefreshURL != "" {
		address = d.RefreshURL
	}
	if asked == forTokens && spec.Method == v1alpha1.MethodGET {
		return query(standard.Context(), address, form, header)
	}
	encoding := spec.Encoding
	if asked != forTokens {
		encoding = v1alpha1.EncodingForm // RFC 7009 section 2.1, RFC 8628 section 3.1
	}
	body, err := encode(encoding, form, header)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(standard.Context(), standard.Method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	return request, nil
}

// query makes a request with all parameters in its address.
func query(ctx context.Context, address string, form url.Values, header http.Header) (*http.Request, error) {
	address, err := WithParameters(address, form)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the token endpoint is no URL") // the text of err holds the credentials
	}
	request.Header = header
	return request, nil
}

// addParameters adds the platform's own parameters to a request for tokens, or for the device code that they begin with.
func (d *dialect) addParameters(form url.Values, asked purpose, known placeholder.Known) {
	grant := grantOf(form.Get("grant_type"))
	if asked == toBeginDevice {
		grant = v1alpha1.GrantDeviceCode
	}
	for _, parameter := range d.Request.Parameters {
		switch {
		case asked == toRevoke, asked == toBeginDevice && parameter.Name == "grant_type":
		case len(parameter.Grants) == 0, slices.Contains(parameter.Grants, grant):
			if value, ok := known.Parameter(parameter.Value); ok {
				form.Set(parameter.Name, value)
			}
		}
	}
}

// Renamed gives parameters the platform's names, all at once: two may change places.
func Renamed(form url.Values, renames []v1alpha1.Rename) url.Values {
	named := maps.Clone(form)
	for _, rename := range renames {
		delete(named, rename.From)
	}
	for _, rename := range renames {
		if values, ok := form[rename.From]; ok {
			named[rename.To] = values
		}
	}
	return named
}

// authenticate moves client_id and client_secret to where the platform expects them: never to two places
// (RFC 6749 section 2.3).
func authenticate(method v1alpha1.ClientAuthentication, form url.Values, header http.Header) {
	switch method {
	case v1alpha1.ClientAuthenticationBody:
	case v1alpha1.ClientAuthenticationNone:
		form.Del("client_secret")
	default:
		encode := url.QueryEscape // both parts are form-encoded first (RFC 6749 section 2.3.1)
		if method == v1alpha1.ClientAuthenticationBasicUnescaped {
			encode = func(part string) string { return part }
		}
		basic := http.Request{Header: header}
		basic.SetBasicAuth(encode(form.Get("client_id")), encode(form.Get("client_secret")))
		form.Del("client_id")
		form.Del("client_secret")
	}
}

func encode(encoding v1alpha1.Encoding, form url.Values, header http.Header) ([]byte, error) {
	if encoding != v1alpha1.EncodingJSON {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		return []byte(form.Encode()), nil
	}
	header.Set("Content-Type", "application/json")
	object := make(map[string]string, len(form))
	for name := range form {
		object[name] = form.Get(name)
	}
	return json.Marshal(object)
}

// grantOf names the grant of a grant_type value.
func grantOf(wire string) v1alpha1.GrantType {
	switch wire {
	case "authorization_code":
		return v1alpha1.GrantAuthorizationCode
	case "urn:ietf:params:oauth:grant-type:device_code":
		return v1alpha1.GrantDeviceCode
	case "refresh_token":
		return v1alpha1.GrantRefreshToken
	case "password":
		return v1alpha1.GrantPassword
	case "client_credentials":
		return v1alpha1.GrantClientCredentials
	}
	return ""
}

// WithParameters adds parameters to the query that an address has. Where both name one, the parameter counts, so that
// none is there twice (RFC 6749 section 3.1).
func WithParameters(address string, parameters url.Values) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the address is no URL")
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return "", errors.New("the address has a query that cannot be read")
	}
	maps.Copy(query, parameters)
	// A space as %20 is understood by all, as + by most.
	parsed.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return parsed.String(), nil
}
