package marketplace_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// deviceForm is a device authorization request as an OAuth library makes it.
func deviceForm() url.Values {
	return url.Values{"client_id": {clientID}, "client_secret": {clientSecret}, "scope": {"openid orders"}}
}

func TestDeviceRequests(t *testing.T) {
	body := url.Values{"client_id": {clientID}, "client_secret": {clientSecret}, "scope": {"openid orders"}}
	public := func(pairs ...string) url.Values {
		form := url.Values{"client_id": {clientID}, "scope": {"openid orders"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
	tests := map[string]struct {
		request v1alpha1.TokenRequest
		scopes  v1alpha1.Scopes
		want    arrival
	}{
		"Basic, with client_id also in the body, as Allegro has it": {
			want: arrival{Authorization: basic(clientID, clientSecret), Form: public()},
		},
		"Body": {request: v1alpha1.TokenRequest{ClientAuthentication: "Body"}, want: arrival{Form: body}},
		"None": {request: v1alpha1.TokenRequest{ClientAuthentication: "None"}, want: arrival{Form: public()}},
		"a form also where token requests are JSON": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "Body", Encoding: "JSON"}, want: arrival{Form: body},
		},
		"parameters for all grants and for this one, and not what makes it a token request": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{
				{Name: "audience", Value: "https://{host}/api"},
				{Name: "device", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode}},
				{Name: "refreshing", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantRefreshToken}},
				{Name: "grant_type", Value: "device"},
			}},
			want: arrival{Form: public("audience", "https://login.example.com/api", "device", "1")},
		},
		"renamed parameters": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Rename: []v1alpha1.Rename{{From: "client_id", To: "app_key"}}},
			want:    arrival{Form: url.Values{"app_key": {clientID}, "scope": {"openid orders"}}},
		},
		"scopes with a comma between": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None"}, scopes: v1alpha1.Scopes{Separator: ","},
			want: arrival{Form: public("scope", "openid,orders")},
		},
		"headers": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Headers: []v1alpha1.HTTPHeader{{Name: "x-partner", Value: "{host}"}}},
			want:    arrival{Form: public(), Extra: http.Header{"X-Partner": {"login.example.com"}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			baseURL, seen := wire(t)
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenRequest, s.Scopes = test.request, test.scopes }), account())
			// At the address of the token endpoint, since an address does not tell what a request is for.
			response, err := platform.Dialect(http.DefaultTransport, now).RoundTrip(standard(t, baseURL+"/token", deviceForm()))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := test.want
			want.Method, want.Path, want.Accept = http.MethodPost, "/token", "application/json"
			want.UserAgent = "tokenkeeper (+https://github.com/tokenkeeper/tokenkeeper)"
			want.ContentType = "application/x-www-form-urlencoded"
			if diff := cmp.Diff([]arrival{want}, seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeviceAnswers(t *testing.T) {
	type object = map[string]any
	tests := map[string]struct {
		response v1alpha1.TokenResponse
		status   int
		body     string
		want     object
	}{
		"as RFC 8628 has it": {status: 200, body: `{"device_code":"d","user_code":"u","verification_uri":"v","verification_uri_complete":"c",` +
			`"expires_in":1800,"interval":5}`, want: object{
			"device_code": "d", "user_code": "u", "verification_uri": "v", "verification_uri_complete": "c",
			"expires_in": 1800.0, "interval": 5.0,
		}},
		"numbers as strings, as Allegro's documents have it": {
			status: 200, body: `{"device_code":"d","expires_in":"3600","interval":"5"}`,
			want: object{"device_code": "d", "expires_in": 3600.0, "interval": 5.0},
		},
		"fractions":                             {status: 200, body: `{"expires_in":599.9,"interval":4.2}`, want: object{"expires_in": 599.0, "interval": 5.0}},
		"nonsense":                              {status: 200, body: `{"expires_in":"soon","interval":"often"}`, want: object{}},
		"nothing and less":                      {status: 200, body: `{"expires_in":0,"interval":-5}`, want: object{}},
		"more than can be counted":              {status: 200, body: `{"expires_in":1e300,"interval":1e300}`, want: object{}},
		"a user code that is a number":          {status: 200, body: `{"user_code":123456789012345678}`, want: object{"user_code": "123456789012345678"}},
		"Google's name for an address":          {status: 200, body: `{"verification_url":"v"}`, want: object{"verification_url": "v"}},
		"what nobody reads":                     {status: 200, body: `{"device_code":"d","message":"Go to …","access_token":"x"}`, want: object{"device_code": "d"}},
		"an error":                              {status: 401, body: `{"error":"invalid_client","error_description":"no"}`, want: object{"error": "invalid_client", "error_description": "no"}},
		"an error that is no JSON":              {status: 503, body: `<html>later</html>`, want: nil},
		"in an envelope, with an error outside": {response: v1alpha1.TokenResponse{Envelope: "data"}, status: 200, body: `{"data":{"device_code":"d"},"error":"e"}`, want: object{"device_code": "d", "error": "e"}},
		"an error in other words": {
			response: v1alpha1.TokenResponse{Fields: v1alpha1.TokenResponseFields{Error: "code", ErrorDescription: "message", ExpiresIn: "ttl"}},
			status:   400, body: `{"code":"E1","message":"no","expires_in":60}`,
			want: object{"error": "E1", "error_description": "no", "expires_in": 60.0},
		},
		"milliseconds, as in token answers": {
			response: v1alpha1.TokenResponse{ExpiryUnit: "Milliseconds"}, status: 200, body: `{"expires_in":600000}`, want: object{"expires_in": 600.0},
		},
		"a moment, as in token answers": {
			response: v1alpha1.TokenResponse{ExpiryUnit: "UnixSeconds"}, status: 200,
			body: `{"expires_in":` + jsonOf(t, start.Add(10*time.Minute).Unix()) + `}`, want: object{"expires_in": 600.0},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse = test.response }), account())
			response, err := platform.Dialect(answers(test.status, "application/json", test.body), now).RoundTrip(
				standard(t, "https://login.example.com/device", deviceForm()))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			var got object
			if test.want != nil {
				if err := json.Unmarshal(body, &got); err != nil {
					t.Fatalf("%s: %v", body, err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" || response.StatusCode != test.status {
				t.Errorf("HTTP %d (-want +got):\n%s", response.StatusCode, diff)
			}
			if test.status == 200 {
				if err := json.Unmarshal(body, &oauth2.DeviceAuthResponse{}); err != nil {
					t.Errorf("x/oauth2 cannot read it: %v", err)
				}
			}
		})
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWhatARequestIsFor tells the three kinds apart by what only one of them has.
func TestWhatARequestIsFor(t *testing.T) {
	const body = `{"access_token":"a","device_code":"d","x":"y"}`
	platform := resolved(t, shop(), account())
	for name, test := range map[string]struct {
		form url.Values
		want string
	}{
		"a token request":                  {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r"}}, `{"access_token":"a"}`},
		"a token request of odd kind":      {url.Values{"grant_type": {"refresh_token"}, "token": {"r"}}, `{"access_token":"a"}`},
		"a device authorization request":   {deviceForm(), `{"device_code":"d"}`},
		"one without a scope":              {url.Values{"client_id": {clientID}}, `{"device_code":"d"}`},
		"one of a client that is nobody":   {url.Values{}, `{"device_code":"d"}`},
		"a revocation, passed on as it is": {url.Values{"token": {"r"}, "client_id": {clientID}}, body},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := platform.Dialect(answers(200, "application/json", body), now).RoundTrip(
				standard(t, "https://login.example.com/oauth", test.form))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			got, err := io.ReadAll(response.Body)
			if err != nil || string(got) != test.want {
				t.Errorf("the answer is %s (%v), want %s", got, err, test.want)
			}
		})
	}
}

// TestAnswersAreClosed keeps connections from leaking, also where an answer is read to its end, or is too large for that.
func TestAnswersAreClosed(t *testing.T) {
	for name, text := range map[string]string{"small": `{"access_token":"a"}`, "large": strings.Repeat(" ", 2<<20)} {
		body := &closing{Reader: strings.NewReader(text)}
		next := transport(func(r *http.Request) (*http.Response, error) {
			response, err := answers(200, "application/json", "")(r)
			response.Body = body
			return response, err
		})
		response, err := resolved(t, shop(), account()).Dialect(next, now).RoundTrip(
			standard(t, "https://login.example.com/token", url.Values{"grant_type": {"client_credentials"}}))
		if err == nil {
			_ = response.Body.Close()
		}
		if !body.closed {
			t.Errorf("a %s answer was not closed", name)
		}
	}
}
