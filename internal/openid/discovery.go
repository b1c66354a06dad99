package openid

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

const (
	// discoveryLife is how long a discovery document is used before it is fetched again.
	discoveryLife = 24 * time.Hour
	// rediscoverAfter is when that is tried again after it failed.
	rediscoverAfter = 10 * time.Minute
	// mostIssuers are remembered: authors of accounts may choose them. The one that was not asked about for the longest time is fetched
	// again when it is.
	mostIssuers = 256
	// maxText is the longest text of a document or a key that is kept: an address, a name, or a number of 8,192 bits.
	maxText = 2 << 10
)

// Endpoints are the addresses that an issuer's document names; empty where it names none.
type Endpoints struct {
	Authorization       string
	DeviceAuthorization string
	Token               string
	Revocation          string
	// IssuerParameter tells that every callback names the issuer, so that one without it is forged (RFC 9207 section 2.4).
	IssuerParameter bool
}

// document holds the members that are used of a discovery document (OIDC Discovery 1.0 section 3). A member that is missing, or of another
// type than it should be, is empty: only a request that needs it fails.
type document struct {
	Endpoints
	keys       string // address of the issuer's keys
	algorithms []string
}

// readDocument reads the document of an issuer, which must name itself exactly as it was asked for (section 4.3).
func readDocument(issuer string, members map[string]json.RawMessage) (document, error) {
	if named := textOf(members["issuer"]); named != issuer {
		return document{}, &answer.Error{Kind: answer.Malformed, Message: fmt.Sprintf("the issuer %q calls itself %q; the two must be exactly the same",
			issuer, nameBeside(issuer, redact.Line(named)))}
	}
	return document{
		Endpoints: Endpoints{
			Authorization:       textOf(members["authorization_endpoint"]),
			DeviceAuthorization: textOf(members["device_authorization_endpoint"]),
			Token:               textOf(members["token_endpoint"]),
			Revocation:          textOf(members["revocation_endpoint"]),
			IssuerParameter:     isTrue(members["authorization_response_iss_parameter_supported"]),
		},
		keys:       textOf(members["jwks_uri"]),
		algorithms: algorithmsOf(members["id_token_signing_alg_values_supported"]),
	}, nil
}

// nameBeside is what an issuer calls itself, as it can be shown: whole where host and scheme are the same, and else no program makes a link of it.
func nameBeside(issuer, named string) string {
	asked, err := url.Parse(issuer)
	if told, bad := url.Parse(named); err != nil || bad != nil || told.Host != asked.Host || told.Scheme != asked.Scheme {
		return bounds.Plain(named)
	}
	return named
}

// publicAlgorithms sign with a key that the issuer can publish (RFC 7518 section 3.1, RFC 8037).
var publicAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// algorithmsOf are the algorithms of ID tokens: the listed ones with a public key, or all with one where the document lists none.
func algorithmsOf(listed json.RawMessage) []string {
	var names []json.RawMessage
	_ = json.Unmarshal(listed, &names) // a member that is no list names none
	var all, found []string
	for _, algorithm := range publicAlgorithms {
		name := string(algorithm)
		all = append(all, name)
		if slices.ContainsFunc(names, func(listed json.RawMessage) bool { return textOf(listed) == name }) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return all
	}
	return found
}

// textOf reads a member that is text, of a length that is kept; empty when it is not.
func textOf(member json.RawMessage) string {
	var text string
	if json.Unmarshal(member, &text) != nil || len(text) > maxText {
		return "" // as good as missing
	}
	return text
}

// isTrue reads a member that is true, also where it is written as text.
func isTrue(member json.RawMessage) bool {
	return slices.Contains([]string{"true", `"true"`}, strings.ToLower(string(bytes.TrimSpace(member))))
}

// documentOf is the address of an issuer's document (section 4.1).
func documentOf(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// fetchObject gets a JSON object that an issuer publishes.
func (p *Providers) fetchObject(ctx context.Context, address string) (map[string]json.RawMessage, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address is no URL")
	}
	request.Header.Set("Accept", "application/json")
	response, err := p.HTTP.Do(request)
	if err != nil {
		return nil, errors.New(redact.NetworkError(err, nil))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := answer.ReadBody(response.Body)
	switch target := outgoing.RedirectTarget(response); {
	case target != "":
		return nil, fmt.Errorf("HTTP %d, a redirect to %s, which is not followed", response.StatusCode, target)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("HTTP %d", response.StatusCode)
	case err != nil:
		return nil, errors.New(redact.NetworkError(err, nil))
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if err := answer.CheckSize(body); err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return nil, errors.New("the answer is not a JSON object")
	}
	return members, nil
}

// discover fetches an issuer's document.
func (p *Providers) discover(ctx context.Context, issuer string) (document, error) {
	members, err := p.fetchObject(ctx, documentOf(issuer))
	if err != nil {
		return document{}, &answer.Error{Kind: answer.Unavailable, Message: "discovering the issuer: " + err.Error()}
	}
	return readDocument(issuer, members)
}

// hasPassed tells whether a span has passed since then. A clock that was set back counts as if it had; moments that calls at
// the same time took in another order do not.
func hasPassed(span time.Duration, since, now time.Time) bool {
	passed := now.Sub(since)
	return passed < -time.Minute || passed >= span
}
