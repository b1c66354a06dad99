package grant

import (
	"cmp"
	"context"
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

// Revoke ends a grant at the platform (RFC 7009). A platform that does not know the token any more answers
// with success. Its error is an *Error.
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
	if response.StatusCode/100 == 2 {
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
