package grant_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// These answers arrive as bytes from a platform whose refresh tokens work once.

// good is a token set, as the platform means it.
const good = `{"access_token":"AT1","token_type":"Bearer","expires_in":3600,"refresh_token":"RT1"}`

// wholeAnswer is a whole answer.
func wholeAnswer(status int, contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), contentType, len(body), body)
}

// sayingBytes asks such a platform with a refresh token, by the dialect of a Marketplace.
func sayingBytes(t *testing.T, spec v1alpha1.MarketplaceSpec, raw string) (answer.Tokens, error) {
	t.Helper()
	platform := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer := hijack(w)
		_, _ = buffer.WriteString(raw)
		_ = buffer.Flush()
		_ = conn.Close()
	})
	endpoint := platform.endpoint()
	endpoint.SingleUse = true
	endpoint.HTTP = outgoing.NewClient(dialect(t, spec, platform.Client().Transport), time.Minute)
	return endpoint.RefreshToken(t.Context(), refreshToken)
}

const maintenancePage = "<!DOCTYPE html><html><body>We'll be back soon</body></html>"

// TestAnswersAfterWhichATokenMayBeSpent leave open whether the platform has acted on the request.
func TestAnswersAfterWhichATokenMayBeSpent(t *testing.T) {
	for name, raw := range map[string]string{
		"a proxy's own words with 503":     wholeAnswer(503, "text/plain", "upstream connect error or disconnect/reset before headers. reset reason: connection termination"),
		"a failure as JSON with 500":       wholeAnswer(500, "application/json", `{"error":"Internal Server Error","error_description":"No message available"}`),
		"a failure with a code of OAuth":   wholeAnswer(500, "application/json", `{"error":"invalid_grant"}`),
		"a maintenance page with 503":      wholeAnswer(503, "text/html", maintenancePage),
		"a gateway's page with a delay":    "HTTP/1.1 502 Bad Gateway\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"a gateway that gave up":           "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"a request that took too long":     wholeAnswer(408, "application/json", `{"error":"timeout"}`),
		"a client that did not wait":       wholeAnswer(499, "text/plain", ""),
		"a content network without origin": wholeAnswer(522, "text/html", "<html>522</html>"),
		"success and half the tokens":      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\nConnection: close\r\n\r\n" + good[:40],
		"success and no tokens":            wholeAnswer(200, "application/json", `{"code":0,"message":"success"}`),
		"success and an empty object":      wholeAnswer(200, "application/json", `{}`),
		"success and nothing":              wholeAnswer(200, "application/json", ""),
		"success and a page with tokens":   wholeAnswer(200, "text/html", `<html><pre>{"access_token": "in a page"}</pre>`),
		"no answer":                        "",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sayingBytes(t, v1alpha1.MarketplaceSpec{}, raw)
			if got := failure(t, err); !got.OutcomeUnknown || !got.Passes() {
				t.Errorf("the failure is %+v, want one after which nobody knows", got)
			}
		})
	}
}

// TestAnswersAfterWhichATokenIsAsGoodAsBefore come from in front of the platform, or say that it has done nothing.
func TestAnswersAfterWhichATokenIsAsGoodAsBefore(t *testing.T) {
	for name, raw := range map[string]string{
		"a maintenance page that says it is JSON": wholeAnswer(200, "application/json", maintenancePage),
		"a maintenance page":                      wholeAnswer(200, "text/html", maintenancePage),
		"a firewall's words":                      wholeAnswer(403, "text/plain", "error code: 1020"),
		"a refusal without a code":                wholeAnswer(401, "application/json", `{"message":"Unauthorized"}`),
		"a redirect":                              "HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"later, in the platform's words":          wholeAnswer(503, "application/json", `{"error":"temporarily_unavailable"}`),
		"slower, in the platform's words":         wholeAnswer(400, "application/json", `{"error":"slow_down"}`),
		"too many requests, as a code":            "HTTP/1.1 400 Bad Request\r\nRetry-After: 5\r\nContent-Type: application/json\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"error\":\"invalid_request\"}\n",
		"too many requests":                       wholeAnswer(429, "application/json", `{"error":"invalid_request","error_description":"Too many requests"}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sayingBytes(t, v1alpha1.MarketplaceSpec{}, raw)
			if got := failure(t, err); got.OutcomeUnknown || !got.Passes() {
				t.Errorf("the failure is %+v, want one that passes and spent nothing", got)
			}
		})
	}
}

// TestAWholeTokenSetIsUsed has answers that hold the only copy of a pair, and something odd beside it.
func TestAWholeTokenSetIsUsed(t *testing.T) {
	with := func(members string) string { return wholeAnswer(200, "application/json", "{"+members+","+good[1:]) }
	for name, test := range map[string]struct {
		raw  string
		spec v1alpha1.TokenResponse
	}{
		"a connection that ends without the last chunk": {
			raw: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good),
		},
		"a length that is one too large": {
			raw: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(good)+1, good),
		},
		"an error of zero":                {raw: with(`"error":0`)},
		"an error that is none":           {raw: with(`"error":"success"`)},
		"an error beside tokens":          {raw: with(`"error":"invalid_scope","error_description":"some were left out"`)},
		"tokens as text":                  {raw: wholeAnswer(200, "text/plain", good)},
		"tokens as a page":                {raw: wholeAnswer(200, "text/html", good)},
		"tokens behind a byte order mark": {raw: wholeAnswer(200, "application/json", "\ufeff"+good)},
		"tokens with 201":                 {raw: wholeAnswer(201, "application/json", good)},
		"a code of zero where codes are errors": {
			raw:  with(`"code":0,"message":"success"`),
			spec: v1alpha1.TokenResponse{Fields: v1alpha1.TokenResponseFields{Error: "code"}},
		},
		"a code of zero around an envelope": {
			raw:  wholeAnswer(200, "application/json", `{"code":0,"message":"success","data":`+good+`}`),
			spec: v1alpha1.TokenResponse{Envelope: "data", Fields: v1alpha1.TokenResponseFields{Error: "code"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tokens, err := sayingBytes(t, v1alpha1.MarketplaceSpec{TokenResponse: test.spec}, test.raw)
			if err != nil {
				t.Fatal(err)
			}
			if tokens.AccessToken != "AT1" || tokens.RefreshToken != "RT1" {
				t.Errorf("the pair is %q and %q", tokens.AccessToken, tokens.RefreshToken)
			}
		})
	}
}

// TestWhatIsSaidOfABadAnswer is what people read in the status of their account.
func TestWhatIsSaidOfABadAnswer(t *testing.T) {
	for name, test := range map[string]struct{ raw, says string }{
		"a page instead of JSON": {wholeAnswer(200, "text/html", maintenancePage), `not a JSON object (content type "text/html")`},
		"maintenance":            {wholeAnswer(503, "text/html", maintenancePage), "HTTP 503"},
		"nothing":                {wholeAnswer(200, "application/json", ""), "is empty"},
		"two megabytes":          {wholeAnswer(200, "application/json", `{"access_token":"`+strings.Repeat("a", 2<<20)+`"}`), "larger than 128 KiB"},
		"a redirect":             {"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP 307"},
		"a cut connection":       {"", "connection"},
		"an unknown error":       {wholeAnswer(418, "application/json", `{"error":"im_a_teapot"}`), "im_a_teapot"},
		"no token in it":         {wholeAnswer(200, "application/json", `{"hello":"world"}`), "holds no access token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sayingBytes(t, v1alpha1.MarketplaceSpec{}, test.raw)
			if got := failure(t, err).Error(); !strings.Contains(got, test.says) {
				t.Errorf("it says %q, want %q in it", got, test.says)
			}
		})
	}
}
