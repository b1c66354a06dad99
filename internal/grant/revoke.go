package grant

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// noEndpoint are answers of an address where no grant can be revoked, today or later.
var noEndpoint = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented}

// ended are error codes of platforms that do not know the token any more. RFC 7009, section 2.2, has them answer with success; Google and
// others do not.
var ended = []string{"invalid_token", "invalid_grant"}

// Revoke ends a grant at the platform (RFC 7009). A platform that does not know the token any more is as good as
// success. Its error is an *Error.
func (e Endpoint) Revoke(ctx context.Context, revocationURL, refreshToken string) error {
	form := url.Values{
		"token":           {refreshToken},
		"token_type_hint": {"refresh_token"},
		"client_id":       {e.ClientID},
	}
	if e.ClientSecret != "" {
		form.Set("client_secret", e.ClientSecret)
	}
	a := attempt{wire: wireRefreshToken, secrets: []string{refreshToken, e.ClientSecret}, now: e.Now()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, revocationURL, strings.NewReader(form.Encode()))
	if err != nil {
		return &answer.Error{Kind: answer.InvalidRequest, Message: "the revocation endpoint is no URL"}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := e.client().Do(request)
	if err != nil {
		return a.unreachable(err)
	}
	defer func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
		_ = response.Body.Close()
	}()
	if response.StatusCode/100 == 2 || response.StatusCode == http.StatusBadRequest && slices.Contains(ended, errorCode(response.Body)) {
		return nil
	}
	kind := answer.Unavailable
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests:
		kind = answer.Throttled
	case status == http.StatusUnauthorized:
		kind = answer.ApplicationRejected
	case slices.Contains(noEndpoint, status):
		kind = answer.InvalidRequest
	case status/100 == 3:
		kind = answer.Malformed
	}
	return &answer.Error{
		Kind:       kind,
		Status:     response.StatusCode,
		Message:    "revoking the grant: " + cmp.Or(a.redirected(response), fmt.Sprintf("the marketplace answered HTTP %d", response.StatusCode)),
		RetryAfter: a.retryAfter(response.Header, kind == answer.Throttled),
	}
}

// errorCode is the error code of RFC 6749, section 5.2, in an answer's body; empty where there is none.
func errorCode(body io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(body, 64<<10))
	var refusal struct {
		Code string `json:"error"`
	}
	if err != nil || json.Unmarshal(text, &refusal) != nil {
		return ""
	}
	return refusal.Code
}
