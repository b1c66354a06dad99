package grant_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

func TestRevoke(t *testing.T) {
	platform := listen(t, respond(http.StatusOK, ``))
	if err := platform.endpoint().Revoke(t.Context(), platform.URL+"/oauth/revoke", refreshToken); err != nil {
		t.Fatalf("revoking: %v", err)
	}
	want := []arrival{{
		Method: http.MethodPost, Path: "/oauth/revoke", ContentType: "application/x-www-form-urlencoded",
		Form: url.Values{
			"token": {refreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}, "client_secret": {clientSecret},
		},
	}}
	if diff := cmp.Diff(want, platform.seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRevokeWithoutASecret(t *testing.T) {
	platform := listen(t, respond(http.StatusOK, ``))
	endpoint := platform.endpoint()
	endpoint.ClientSecret = ""
	if err := endpoint.Revoke(t.Context(), platform.URL, refreshToken); err != nil {
		t.Fatalf("revoking: %v", err)
	}
	want := url.Values{"token": {refreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}
	if diff := cmp.Diff(want, platform.seen()[0].Form); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

func TestRevocationAnswers(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   answer.Kind // empty for success
		status int
	}{
		"success":                     {respond(200, ``), "", 0},
		"success with a body":         {respond(200, `{"x":1}`), "", 0},
		"success without one":         {respond(204, ``), "", 0},
		"a token that has ended":      {respond(400, `{"error":"invalid_token"}`), "", 0},
		"a grant that has ended":      {respond(400, `{"error":"invalid_grant","error_description":"expired"}`), "", 0},
		"a token, and not our right":  {respond(401, `{"error":"invalid_token"}`), answer.ApplicationRejected, 401},
		"a refusal that says nothing": {respond(400, `no`), answer.Unavailable, 400},
		"a wrong secret":              {respond(401, `{"error":"invalid_client"}`), answer.ApplicationRejected, 401},
		"a platform that is not able": {respond(400, `{"error":"unsupported_token_type"}`), answer.Unavailable, 400},
		"too many requests":           {respond(429, ``), answer.Throttled, 429},
		"later, please":               {respond(503, ``), answer.Unavailable, 503},
		"a redirect":                  {redirect(http.StatusFound), answer.Malformed, 302},
		"no answer":                   {hangUp, answer.Unavailable, 0},
		"the token, thrown back":      {respond(500, refreshToken), answer.Unavailable, 500},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := listen(t, test.answer)
			err := platform.endpoint().Revoke(t.Context(), platform.URL+"/oauth/revoke", refreshToken)
			if test.want == "" {
				if err != nil {
					t.Errorf("revoking: %v", err)
				}
				return
			}
			got := failure(t, err)
			if got.Kind != test.want || got.Status != test.status {
				t.Errorf("the failure is %+v, want %s with status %d", got, test.want, test.status)
			}
			if piece := leaked(err.Error(), refreshToken); piece != "" {
				t.Errorf("the error holds %q of the token", piece)
			}
			if n := len(platform.seen()); n != 1 {
				t.Errorf("%d requests arrived, want 1", n)
			}
		})
	}
}

// TestARedirectIsNamed by host and path, so that somebody can mend the Marketplace, and by nothing that may be a credential.
func TestARedirectIsNamed(t *testing.T) {
	for location, want := range map[string]string{
		"https://auth.example.com/oauth/token?refresh_token=" + refreshToken: "a redirect to auth.example.com/oauth/token, which is not followed",
		"https://auth.example.com/" + refreshToken[:10]:                      "the marketplace answered HTTP 308",
		"https://" + refreshToken[:8] + ".example.com/token":                 "the marketplace answered HTTP 308",
		"": "the marketplace answered HTTP 308",
	} {
		platform := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusPermanentRedirect)
		})
		_, renewing := platform.endpoint().RefreshToken(t.Context(), refreshToken)
		revoking := platform.endpoint().Revoke(t.Context(), platform.URL, refreshToken)
		for what, err := range map[string]error{"renewing": renewing, "revoking": revoking} {
			if got := failure(t, err); got.Kind != answer.Malformed || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: the failure is %+v, want %q", what, location, got, want)
			}
			if piece := leaked(err.Error(), refreshToken); piece != "" {
				t.Errorf("%s: the error holds %q of the token: %v", what, piece, err)
			}
		}
		if got := failure(t, renewing); got.OutcomeUnknown {
			t.Errorf("%s: the token may have been spent", location)
		}
	}
}

func TestRevokeAtNoAddress(t *testing.T) {
	err := endpoint(nil).Revoke(t.Context(), "://", refreshToken)
	if got := failure(t, err); got.Kind != answer.InvalidRequest {
		t.Errorf("the failure is %+v, want InvalidRequest", got)
	}
}
