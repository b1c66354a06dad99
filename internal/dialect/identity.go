package dialect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// Identify makes the identity request: one call that proves the token and names its account. Its error is an
// *answer.IdentityError, whose text holds neither URL nor token.
func (s *Spec) Identify(ctx context.Context, client *http.Client, accessToken string) (answer.Identity, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(s.Identity.URL), nil)
	if err != nil {
		return answer.Identity{}, &answer.IdentityError{Why: "identity.request.url is no URL"}
	}
	s.identityHeaders(request.Header, placeholder.Known{ClientID: s.ClientID, AccountID: s.AccountID, AccessToken: accessToken})
	response, err := client.Do(request)
	if err != nil {
		return answer.Identity{}, &answer.IdentityError{Why: unreachable(err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := answer.ReadBody(response.Body)
	switch {
	case response.StatusCode/100 != 2:
		return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: answered(response, accessToken)}
	case err != nil:
		return answer.Identity{}, &answer.IdentityError{Why: "the answer broke off"}
	}
	return s.readIdentity(response, body)
}

func (s *Spec) identityHeaders(header http.Header, known placeholder.Known) {
	header.Set("Accept", "application/json")
	header.Set("User-Agent", userAgent)
	bearer := true
	for _, extra := range s.Identity.Headers {
		bearer = bearer && !strings.Contains(string(extra.Value), "{"+placeholder.AccessToken+"}")
		if value, ok := known.Header(extra.Value); ok {
			header.Set(extra.Name, value)
		}
	}
	if bearer {
		header.Set("Authorization", "Bearer "+known.AccessToken)
	}
}

// readIdentity finds the account of the token in an answer.
func (s *Spec) readIdentity(response *http.Response, body []byte) (answer.Identity, error) {
	if s.Identity.IDPath == "" && s.Identity.LoginPath == "" {
		if answer.IsPage(body) { // for maintenance, or of a firewall, which proves no token
			return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: "the marketplace answered with a web page", Unreadable: true}
		}
		return answer.Identity{}, nil
	}
	members, err := decode(body, response.Header.Get("Content-Type"))
	if err != nil {
		return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: err.Error(), Unreadable: true}
	}
	if s.hasCodes() && s.saysFailure(members) {
		return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: "the marketplace answered with an error code"}
	}
	id, err := find(s.Identity.IDPath, members)
	if err != nil {
		return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: "identity.request.idPath: " + err.Error()}
	}
	login, err := find(s.Identity.LoginPath, members)
	if err != nil && !errors.Is(err, errNotFound) { // a name alone is a convenience, which some kinds of accounts do not have
		return answer.Identity{}, &answer.IdentityError{Status: response.StatusCode, Why: "identity.request.loginPath: " + err.Error()}
	}
	return answer.Identity{ID: id, Login: bounds.Login(login)}, nil
}

// answered describes an answer that is no success. Where a redirect points to is told, unless that may tell of the token.
func answered(response *http.Response, accessToken string) string {
	text := fmt.Sprintf("the marketplace answered HTTP %d", response.StatusCode)
	if target := outgoing.RedirectTarget(response); target != "" && !strings.Contains(target, accessToken) {
		text += ", a redirect to " + target + ", which is not followed"
	}
	return text
}

// errNotFound is why a path finds nothing: the answer has no such list, or none so long.
var errNotFound = errors.New("does not fit the answer")

// find reads one value by JSONPath; the empty path finds nothing.
func find(path string, members map[string]any) (string, error) {
	if path == "" {
		return "", nil
	}
	reader := jsonpath.New("identity").AllowMissingKeys(true)
	if err := reader.Parse(path); err != nil {
		return "", errors.New("is no JSONPath")
	}
	results, err := reader.FindResults(members)
	if err != nil {
		return "", errNotFound
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
	return bounds.Identifier(text.String()), nil
}

// unreachable describes a request without an answer, never by the text of a url.Error, which holds the whole URL.
func unreachable(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "the marketplace did not answer in time"
	}
	return "the marketplace cannot be reached"
}
