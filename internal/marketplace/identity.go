package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// Identity is whose token it is; either part may be empty.
type Identity struct {
	// ID is the marketplace's identifier of the account.
	ID string
	// Login is the name that people know.
	Login string
}

// IdentityError is an answer of the identity request that is not a success.
type IdentityError struct {
	// Status is the HTTP status of the answer; 0 when there was none, or it broke off.
	Status int
	why    string
	// unreadable tells that the answer says success and is none, such as a page for maintenance.
	unreadable bool
}

// NotAsked is the error of an identity request that was not made; why completes "testing the connection: ".
func NotAsked(why string) *IdentityError { return &IdentityError{why: why} }

func (e *IdentityError) Error() string { return "testing the connection: " + e.why }

// Refused tells that the marketplace does not honour the access token.
func (e *IdentityError) Refused() bool { return e.Status == http.StatusUnauthorized }

// Throttled tells that the marketplace wants fewer requests.
func (e *IdentityError) Throttled() bool { return e.Status == http.StatusTooManyRequests }

// Final tells that the request will not be answered, however often it is made.
func (e *IdentityError) Final() bool {
	return e.Status == http.StatusForbidden || e.Status == http.StatusNotFound
}

// Unavailable tells that the marketplace gave no answer that can be used, so that asking again may help.
func (e *IdentityError) Unavailable() bool { return e.Unanswered() || e.unreadable }

// Unanswered tells that the host gave no answer, or said that it cannot answer, so that asking it for others is no use now.
func (e *IdentityError) Unanswered() bool {
	return e.Status == 0 || e.Status >= http.StatusInternalServerError
}

// CanIdentify tells whether the platform has a call that tests a token.
func (p *Platform) CanIdentify() bool { return p.identity != nil }

// IdentityURL is where that call goes; empty where there is none.
func (p *Platform) IdentityURL() string {
	if p.identity == nil {
		return ""
	}
	return string(p.identity.URL)
}

// NamesAccount tells whether that call also says whose token it is.
func (p *Platform) NamesAccount() bool { return p.identity != nil && p.identity.IDPath != "" }

// Identify makes the identity request: one call that proves the token and tells whose it is. Its error is an
// *IdentityError, whose text holds neither URL nor token.
func (p *Platform) Identify(ctx context.Context, client *http.Client, accessToken string) (Identity, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(p.identity.URL), nil)
	if err != nil {
		return Identity{}, &IdentityError{why: "identity.request.url is no URL"}
	}
	p.identityHeaders(request.Header, known{p.clientID, p.accountID, accessToken})
	response, err := client.Do(request)
	if err != nil {
		return Identity{}, &IdentityError{why: unreachable(err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case response.StatusCode/100 != 2:
		return Identity{}, &IdentityError{Status: response.StatusCode, why: answered(response, accessToken)}
	case err != nil:
		return Identity{}, &IdentityError{why: "the answer broke off"}
	}
	return p.readIdentity(response, body)
}

func (p *Platform) identityHeaders(header http.Header, known known) {
	header.Set("Accept", "application/json")
	header.Set("User-Agent", userAgent)
	bearer := true
	for _, extra := range p.identity.Headers {
		bearer = bearer && !strings.Contains(string(extra.Value), "{"+accessTokenName+"}")
		if value, ok := known.header(extra.Value); ok {
			header.Set(extra.Name, value)
		}
	}
	if bearer {
		header.Set("Authorization", "Bearer "+known.accessToken)
	}
}

// readIdentity finds whose the token is in an answer.
func (p *Platform) readIdentity(response *http.Response, body []byte) (Identity, error) {
	if p.identity.IDPath == "" && p.identity.LoginPath == "" {
		if answer.IsPage(body) { // for maintenance, or of a firewall, which proves no token
			return Identity{}, &IdentityError{Status: response.StatusCode, why: "the marketplace answered with a web page", unreadable: true}
		}
		return Identity{}, nil
	}
	members, err := decode(body, response.Header.Get("Content-Type"))
	if err != nil {
		return Identity{}, &IdentityError{Status: response.StatusCode, why: err.Error(), unreadable: true}
	}
	if p.hasCodes() && p.saysFailure(members) {
		return Identity{}, &IdentityError{Status: response.StatusCode, why: "the marketplace answered with an error code"}
	}
	id, err := find(p.identity.IDPath, members)
	if err != nil {
		return Identity{}, &IdentityError{Status: response.StatusCode, why: "identity.request.idPath: " + err.Error()}
	}
	login, err := find(p.identity.LoginPath, members)
	if err != nil && !errors.Is(err, errMisfit) { // a name alone is a convenience, which some kinds of accounts do not have
		return Identity{}, &IdentityError{Status: response.StatusCode, why: "identity.request.loginPath: " + err.Error()}
	}
	return Identity{ID: id, Login: login}, nil
}

// answered describes an answer that is no success. Where a redirect points to is told, unless that may tell of the token.
func answered(response *http.Response, accessToken string) string {
	text := fmt.Sprintf("the marketplace answered HTTP %d", response.StatusCode)
	if target := outgoing.RedirectTarget(response); target != "" && !strings.Contains(target, accessToken) {
		text += ", a redirect to " + target + ", which is not followed"
	}
	return text
}

// errMisfit is why a path finds nothing: the answer has no such list, or none so long.
var errMisfit = errors.New("does not fit the answer")

// find reads one value by JSONPath; the empty path finds nothing.
func find(path string, answer map[string]any) (string, error) {
	if path == "" {
		return "", nil
	}
	reader := jsonpath.New("identity").AllowMissingKeys(true)
	if err := reader.Parse(path); err != nil {
		return "", errors.New("is no JSONPath")
	}
	results, err := reader.FindResults(answer)
	if err != nil {
		return "", errMisfit
	}
	var text strings.Builder
	for _, values := range results {
		for i, value := range values {
			if i > 0 {
				text.WriteByte(' ')
			}
			switch part := value.Interface().(type) {
			case nil:
			case string, json.Number:
				text.WriteString(asText(part))
			default:
				return "", errors.New("finds neither text nor a number in the answer")
			}
		}
	}
	return bounded(strings.TrimSpace(text.String())), nil
}

// bounded keeps what becomes part of a status within what its schema allows.
func bounded(text string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text))
	return string(runes[:min(len(runes), 256)])
}

// unreachable describes a request without an answer by what went wrong, never by the text of a url.Error,
// which holds the whole URL.
func unreachable(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "the marketplace did not answer in time"
	}
	return "the marketplace cannot be reached"
}
