package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

const (
	// defaultInterval is how long to wait between two polls where the platform does not say (RFC 8628 section 3.2), and
	// longestInterval the most that is believed.
	defaultInterval = 5 * time.Second
	longestInterval = 5 * time.Minute
	// defaultDeviceLife is assumed of a device code where the platform, which must say, says nothing or nonsense, and
	// longestDeviceLife the most that is believed. Allegro's live for an hour, and other platforms' are shorter.
	defaultDeviceLife = 10 * time.Minute
	longestDeviceLife = 24 * time.Hour
	// maxUserCode is the longest user code that is shown.
	maxUserCode = 64

	noDeviceCode = "the marketplace's answer holds no device code"
)

// StartDevice asks for a device code (RFC 8628 section 3.1). Its error is an *Error.
func (e Endpoint) StartDevice(ctx context.Context, deviceURL string, scopes []string) (answer.DeviceCode, error) {
	if deviceURL == "" {
		return answer.DeviceCode{}, &answer.Error{Kind: answer.InvalidRequest, Message: "the marketplace names no device authorization endpoint"}
	}
	began := time.Now() //nolint:forbidigo // x/oauth2 counts from this clock; what it adds to it is what the platform said.
	given, issued, err := exchange(ctx, e, wireDeviceAuthorization, nil,
		func(ctx context.Context, config *oauth2.Config) (*oauth2.DeviceAuthResponse, error) {
			config.Endpoint.DeviceAuthURL = deviceURL
			config.Scopes = slices.Clone(scopes)
			var options []oauth2.AuthCodeOption
			if config.ClientSecret != "" { // the client proves itself as at the token endpoint
				options = append(options, oauth2.SetAuthURLParam("client_secret", config.ClientSecret))
			}
			return config.DeviceAuth(ctx, options...)
		})
	if err != nil {
		return answer.DeviceCode{}, err
	}
	life := given.Expiry.Sub(began).Round(time.Second)
	if !(life > 0 && life <= longestDeviceLife) {
		life = defaultDeviceLife
	}
	return fit(answer.DeviceCode{
		Code:        given.DeviceCode,
		UserCode:    given.UserCode,
		URL:         given.VerificationURI,
		CompleteURL: given.VerificationURIComplete,
		ExpiresAt:   issued.Add(life).Truncate(time.Second),
		Interval:    intervalOf(given.Interval),
	})
}

// refusedCode gives the answer to a request for a device code the status of a refusal where it claims success and holds a standard error instead of a
// code: x/oauth2 looks at the status alone. The answer has been read to its end.
func refusedCode(response *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	shape, members, _ := answer.Read(body)
	var code string
	if response.StatusCode/100 == 2 && members["device_code"] == nil && json.Unmarshal(members["error"], &code) == nil {
		told := answer.Facts{Sent: true, Status: response.StatusCode, Shape: shape, Code: redact.LeadingCode(code)}
		if told.Verdict() == answer.Word {
			response.StatusCode = http.StatusBadRequest
		}
	}
	return response, nil
}

func intervalOf(seconds int64) time.Duration {
	if seconds <= 0 {
		return defaultInterval
	}
	return time.Duration(min(seconds, int64(longestInterval/time.Second))) * time.Second
}

// fit refuses an answer without the parts of a sign-in, or with parts that must not be shown to people.
func fit(d answer.DeviceCode) (answer.DeviceCode, error) {
	switch {
	case d.Code == "":
		return answer.DeviceCode{}, &answer.Error{Kind: answer.Malformed, Message: noDeviceCode}
	case d.UserCode == "", len(d.UserCode) > maxUserCode, bounds.Printable(d.UserCode) != d.UserCode:
		return answer.DeviceCode{}, &answer.Error{Kind: answer.Malformed, Message: "the marketplace's answer holds no user code that can be shown"}
	case outgoing.CheckLink(d.URL) != nil:
		return answer.DeviceCode{}, &answer.Error{Kind: answer.Malformed, Message: "the marketplace's answer holds no https address to enter the user code at"}
	case outgoing.CheckLink(d.CompleteURL) != nil:
		d.CompleteURL = "" // it is a convenience
	}
	return d, nil
}

// Device asks once whether the person has signed in (RFC 8628 section 3.4). Until then, the error is of kind
// Pending or SlowDown.
func (e Endpoint) Device(ctx context.Context, deviceCode string) (answer.Tokens, error) {
	if deviceCode == "" {
		return answer.Tokens{}, &answer.Error{Kind: answer.CodeExpired, Message: "there is no device code"}
	}
	return e.ask(ctx, wireDeviceCode, []string{deviceCode}, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		// x/oauth2's own polling holds its caller until a person has signed in. This is one request, of another grant type
		// than the name says.
		return (&clientcredentials.Config{
			ClientID:       config.ClientID,
			ClientSecret:   config.ClientSecret,
			TokenURL:       config.Endpoint.TokenURL,
			AuthStyle:      config.Endpoint.AuthStyle,
			EndpointParams: url.Values{"grant_type": {string(wireDeviceCode)}, "device_code": {deviceCode}},
		}).Token(ctx)
	})
}

// polled is the kind of an error answer to a poll, where that differs from other token requests (RFC 8628 section 3.5).
func (a attempt) polled(facts answer.Facts, verdict answer.Verdict) (answer.Kind, bool) {
	if a.wire != wireDeviceCode {
		return "", false
	}
	switch facts.Code {
	case "authorization_pending":
		return answer.Pending, true
	case "slow_down":
		return answer.SlowDown, true
	}
	if verdict != answer.Word {
		// A bare 400 refuses the device code, the only thing in the request that was not there before.
		return answer.CodeExpired, facts.Status == http.StatusBadRequest && facts.Code == "" && facts.Shape == answer.Object && !facts.RetryAfter
	}
	switch facts.Code {
	case "access_denied", "authorization_declined": // Microsoft's word for the same
		return answer.ConsentDenied, true
	case "expired_token":
		return answer.CodeExpired, true
	case "invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "invalid_target":
		return "", false
	}
	// Any other refusal is one of the device code: Allegro says invalid_request of a code that is wrong, used or too old.
	return answer.CodeExpired, facts.Status/100 == 4 && facts.Status != http.StatusUnauthorized
}
