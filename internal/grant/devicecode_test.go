package grant_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

const (
	deviceURL = "https://login.example.com/device_authorization"
	enterURL  = "https://login.example.com/enter"
)

// invited is the answer of RFC 8628 section 3.2.
func invited(t *testing.T, changes map[string]any) string {
	t.Helper()
	members := map[string]any{
		"device_code": deviceCode, "user_code": "WDJB-MJHT", "verification_uri": enterURL,
		"verification_uri_complete": enterURL + "?user_code=WDJB-MJHT", "expires_in": 1800, "interval": 7,
	}
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return object(t, members)
}

func TestStartDeviceRequests(t *testing.T) {
	tests := map[string]struct {
		secret string
		scopes []string
		want   url.Values
	}{
		"with scopes": {
			clientSecret, []string{"openid", "orders"},
			url.Values{"client_id": {clientID}, "client_secret": {clientSecret}, "scope": {"openid orders"}},
		},
		"without scopes":   {clientSecret, nil, url.Values{"client_id": {clientID}, "client_secret": {clientSecret}}},
		"without a secret": {"", nil, url.Values{"client_id": {clientID}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := listen(t, respond(http.StatusOK, invited(t, nil)))
			endpoint := platform.endpoint()
			endpoint.ClientSecret = test.secret
			if _, err := endpoint.StartDevice(t.Context(), platform.URL+"/device", test.scopes); err != nil {
				t.Fatalf("asking: %v", err)
			}
			want := []arrival{{
				Method: http.MethodPost, Path: "/device", ContentType: "application/x-www-form-urlencoded", Form: test.want,
			}}
			if diff := cmp.Diff(want, platform.seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStartDeviceAnswers(t *testing.T) {
	plain := answer.DeviceCode{
		Code: deviceCode, UserCode: "WDJB-MJHT", URL: enterURL, CompleteURL: enterURL + "?user_code=WDJB-MJHT",
		ExpiresAt: start.Add(30 * time.Minute), Interval: 7 * time.Second,
	}
	with := func(change func(*answer.DeviceCode)) answer.DeviceCode {
		code := plain
		change(&code)
		return code
	}
	living := func(life time.Duration) answer.DeviceCode {
		return with(func(d *answer.DeviceCode) { d.ExpiresAt = start.Add(life) })
	}
	waiting := func(interval time.Duration) answer.DeviceCode {
		return with(func(d *answer.DeviceCode) { d.Interval = interval })
	}
	incomplete := with(func(d *answer.DeviceCode) { d.CompleteURL = "" })
	long := "https://login.example.com/" + strings.Repeat("x", 2048)
	tests := map[string]struct {
		changes map[string]any
		want    answer.DeviceCode
		says    string // of the refusal
	}{
		"all there is":                     {nil, plain, ""},
		"no lifetime":                      {map[string]any{"expires_in": nil}, living(10 * time.Minute), ""},
		"a lifetime of nothing":            {map[string]any{"expires_in": 0}, living(10 * time.Minute), ""},
		"a negative lifetime":              {map[string]any{"expires_in": -1800}, living(10 * time.Minute), ""},
		"a day":                            {map[string]any{"expires_in": 86400}, living(24 * time.Hour), ""},
		"a lifetime that is a moment":      {map[string]any{"expires_in": start.Unix()}, living(10 * time.Minute), ""},
		"a lifetime past counting":         {map[string]any{"expires_in": int64(1) << 62}, living(10 * time.Minute), ""},
		"no interval":                      {map[string]any{"interval": nil}, waiting(5 * time.Second), ""},
		"an interval of nothing":           {map[string]any{"interval": 0}, waiting(5 * time.Second), ""},
		"a negative interval":              {map[string]any{"interval": -5}, waiting(5 * time.Second), ""},
		"an interval of a day":             {map[string]any{"interval": 86400}, waiting(5 * time.Minute), ""},
		"an interval past counting":        {map[string]any{"interval": int64(1) << 62}, waiting(5 * time.Minute), ""},
		"no complete address":              {map[string]any{"verification_uri_complete": nil}, incomplete, ""},
		"a complete address that is a run": {map[string]any{"verification_uri_complete": "javascript:alert(1)"}, incomplete, ""},
		"a complete address in the clear":  {map[string]any{"verification_uri_complete": "http://login.example.com/enter?c=W"}, incomplete, ""},
		"a complete address that is long":  {map[string]any{"verification_uri_complete": long}, incomplete, ""},
		"Google's name for the address": {
			map[string]any{"verification_uri": nil, "verification_url": enterURL}, plain, "",
		},
		"an address on this machine": {
			map[string]any{"verification_uri": "http://127.0.0.1:8080/enter", "verification_uri_complete": nil},
			with(func(d *answer.DeviceCode) { d.URL, d.CompleteURL = "http://127.0.0.1:8080/enter", "" }), "",
		},
		"addresses that are routes of a page": {
			map[string]any{"verification_uri": enterURL + "#/device", "verification_uri_complete": enterURL + "#/device?c=W"},
			with(func(d *answer.DeviceCode) { d.URL, d.CompleteURL = enterURL+"#/device", enterURL+"#/device?c=W" }), "",
		},
		"a user code as long as can be": {
			map[string]any{"user_code": strings.Repeat("W", 64)},
			with(func(d *answer.DeviceCode) { d.UserCode = strings.Repeat("W", 64) }), "",
		},
		"no device code":           {map[string]any{"device_code": nil}, answer.DeviceCode{}, "holds no device code"},
		"no user code":             {map[string]any{"user_code": nil}, answer.DeviceCode{}, "no user code that can be shown"},
		"a user code that is long": {map[string]any{"user_code": strings.Repeat("W", 65)}, answer.DeviceCode{}, "no user code that can be shown"},
		"a user code of two lines": {map[string]any{"user_code": "WDJB\nMJHT"}, answer.DeviceCode{}, "no user code that can be shown"},
		"no address":               {map[string]any{"verification_uri": nil}, answer.DeviceCode{}, "no https address"},
		"an address that is a run": {map[string]any{"verification_uri": "javascript:alert(1)"}, answer.DeviceCode{}, "no https address"},
		"an address in the clear":  {map[string]any{"verification_uri": "http://login.example.com/enter"}, answer.DeviceCode{}, "no https address"},
		"an address of no host":    {map[string]any{"verification_uri": "https:///enter"}, answer.DeviceCode{}, "no https address"},
		"an address with a user":   {map[string]any{"verification_uri": "https://allegro.pl@evil.example/"}, answer.DeviceCode{}, "no https address"},
		"an address that is long":  {map[string]any{"verification_uri": long}, answer.DeviceCode{}, "no https address"},
		"an address with a backslash": {
			map[string]any{"verification_uri": `https://evil.example\@allegro.pl/`}, answer.DeviceCode{}, "no https address",
		},
		"a code that is a list": {map[string]any{"device_code": []string{deviceCode}}, answer.DeviceCode{}, "holds no device code"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := endpoint(answers(http.StatusOK, invited(t, test.changes))).StartDevice(t.Context(), deviceURL, nil)
			if test.says != "" {
				refused := failure(t, err)
				if refused.Kind != answer.Malformed || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the failure is %+v, want Malformed and %q", refused, test.says)
				}
				if piece := leaked(err.Error(), deviceCode); piece != "" {
					t.Errorf("the error holds %q of the device code: %v", piece, err)
				}
			} else if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStartDeviceRefusals(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   answer.Kind
	}{
		"invalid_client":                  {401, refusal("invalid_client"), answer.ApplicationRejected},
		"unauthorized_client":             {400, refusal("unauthorized_client"), answer.ApplicationRejected},
		"invalid_grant":                   {400, refusal("invalid_grant"), answer.ApplicationRejected},
		"invalid_scope":                   {400, refusal("invalid_scope"), answer.ScopeRejected},
		"invalid_request":                 {400, refusal("invalid_request"), answer.InvalidRequest},
		"slow_down, which is of no poll":  {400, refusal("slow_down"), answer.Throttled},
		"access_denied, of nobody yet":    {403, refusal("access_denied"), answer.Unavailable},
		"429":                             {429, ``, answer.Throttled},
		"503":                             {503, `<html>maintenance</html>`, answer.Unavailable},
		"a page":                          {200, `<html>Sign in to our Wi-Fi</html>`, answer.Malformed},
		"nothing":                         {200, ``, answer.Malformed},
		"an error that claims success":    {200, refusal("invalid_client"), answer.ApplicationRejected},
		"a scope's that claims success":   {200, refusal("invalid_scope: a"), answer.ScopeRejected},
		"an unknown error, of success":    {200, refusal("no_error"), answer.Malformed},
		"a redirect":                      {307, ``, answer.Malformed},
		"a lifetime that is no number":    {200, `{"device_code":"` + deviceCode + `","expires_in":"soon"}`, answer.Malformed},
		"a lifetime that holds the code":  {200, `{"expires_in":"` + deviceCode + `"}`, answer.Malformed},
		"an error that repeats the codes": {400, `{"error":"invalid_client","error_description":"` + clientSecret + `"}`, answer.ApplicationRejected},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := endpoint(answers(test.status, test.body, "Location", "https://evil.example/")).StartDevice(t.Context(), deviceURL, nil)
			if got := failure(t, err); got.Kind != test.want {
				t.Errorf("the failure is %+v, want %s", got, test.want)
			}
			for _, secret := range []string{deviceCode, clientSecret} {
				if piece := leaked(err.Error(), secret); piece != "" {
					t.Errorf("the error holds %q of a secret: %v", piece, err)
				}
			}
		})
	}
}

// TestStartDeviceEndsWithItsContext is about x/oauth2, which makes this request without a context.
func TestStartDeviceEndsWithItsContext(t *testing.T) {
	never := transport(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	tests := map[string]struct {
		bound  func(context.Context) (context.Context, context.CancelFunc)
		client time.Duration
		says   string
	}{
		"a deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			},
			0, "the marketplace did not answer in time",
		},
		"a cancellation": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, 0, "asking the marketplace was interrupted"},
		"the client's own timeout": {context.WithCancel, time.Second, "the marketplace did not answer in time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := test.bound(t.Context())
				defer cancel()
				endpoint := endpoint(never)
				endpoint.HTTP.Timeout = test.client
				began := time.Now()
				_, err := endpoint.StartDevice(ctx, deviceURL, nil)
				if got := failure(t, err); got.Kind != answer.Unavailable || got.Message != test.says {
					t.Errorf("the failure is %+v, want Unavailable: %s", got, test.says)
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("it took %v, want 1s", took)
				}
			})
		})
	}
}

// TestPolls is what each answer to a poll means (RFC 8628 section 3.5).
func TestPolls(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   answer.Kind
	}{
		"authorization_pending":                      {400, refusal("authorization_pending"), answer.Pending},
		"authorization_pending, with Auth0's status": {403, refusal("authorization_pending"), answer.Pending},
		"authorization_pending that claims success":  {200, refusal("authorization_pending"), answer.Pending},
		"slow_down":                              {400, refusal("slow_down"), answer.SlowDown},
		"slow_down, with Auth0's status":         {429, refusal("slow_down"), answer.SlowDown},
		"access_denied":                          {400, refusal("access_denied"), answer.ConsentDenied},
		"Microsoft's word for access_denied":     {400, refusal("authorization_declined"), answer.ConsentDenied},
		"expired_token":                          {400, refusal("expired_token"), answer.CodeExpired},
		"invalid_grant":                          {400, refusal("invalid_grant"), answer.CodeExpired},
		"invalid_grant, with Auth0's status":     {403, refusal("invalid_grant"), answer.CodeExpired},
		"Allegro's word for a code of no use":    {400, `{"error":"invalid_request","error_description":"Invalid device code"}`, answer.CodeExpired},
		"a platform's own word":                  {400, refusal("bad_verification_code"), answer.CodeExpired},
		"no word":                                {400, `{}`, answer.CodeExpired},
		"no word, and a status of somebody else": {404, `{}`, answer.Unavailable},
		"a page":                                 {400, `<html>blocked</html>`, answer.Unavailable},
		"a page, 403":                            {403, `<html>blocked</html>`, answer.Unavailable},
		"invalid_client":                         {401, refusal("invalid_client"), answer.ApplicationRejected},
		"invalid_client with 400":                {400, refusal("invalid_client"), answer.ApplicationRejected},
		"unauthorized_client":                    {400, refusal("unauthorized_client"), answer.ApplicationRejected},
		"Allegro's word for a wrong secret":      {401, refusal("Unauthorized"), answer.ApplicationRejected},
		"invalid_scope":                          {400, refusal("invalid_scope"), answer.ScopeRejected},
		"unsupported_grant_type":                 {400, refusal("unsupported_grant_type"), answer.InvalidRequest},
		"temporarily_unavailable":                {400, refusal("temporarily_unavailable"), answer.Unavailable},
		"429":                                    {429, ``, answer.Throttled},
		"429 with a word":                        {429, refusal("too_many_requests"), answer.Throttled},
		"408":                                    {408, refusal("timeout"), answer.Unavailable},
		"500":                                    {500, refusal("odd"), answer.Unavailable},
		"503":                                    {503, `<html>maintenance</html>`, answer.Unavailable},
		"a success without a token":              {200, `{}`, answer.Malformed},
		"a redirect":                             {302, ``, answer.Malformed},
		"a platform's own word that somebody defined": {400, refusal("account_locked"), answer.AccountLocked},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			endpoint := endpoint(answers(test.status, test.body))
			endpoint.Meaning = func(code string, _ int) (answer.Kind, bool) { return answer.AccountLocked, code == "account_locked" }
			_, err := endpoint.Device(t.Context(), deviceCode)
			if got := failure(t, err); got.Kind != test.want {
				t.Errorf("the failure is %+v, want %s", got, test.want)
			}
		})
	}
}

// TestPollReturnsAtOnce has a person who takes a while: whoever asks decides when to ask again.
func TestPollReturnsAtOnce(t *testing.T) {
	polls := 0
	pending := transport(func(r *http.Request) (*http.Response, error) {
		polls++
		return answers(http.StatusBadRequest, refusal("authorization_pending"))(r)
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := endpoint(pending).Device(t.Context(), deviceCode)
		if got := failure(t, err); !got.Passes() || got.OutcomeUnknown {
			t.Errorf("the failure is %+v, want one that passes", got)
		}
		if took := time.Since(began); polls != 1 || took != 0 {
			t.Errorf("%d polls in %v, want one at once", polls, took)
		}
	})
}

// TestDemoMarketplaceDevice tells what becomes of device codes at the demo marketplace, by a clock that is stepped.
func TestDemoMarketplaceDevice(t *testing.T) {
	const interval = 5 * time.Second
	approve := func(t *testing.T, d *demo, code answer.DeviceCode) {
		t.Helper()
		if err := d.ApproveDevice(code.UserCode, d.Seller().ID); err != nil {
			t.Fatal(err)
		}
	}
	type poll struct {
		after  time.Duration
		before func(*testing.T, *demo, answer.DeviceCode)
		want   answer.Kind // empty for tokens
	}
	tests := map[string][]poll{
		"approved while we wait": {
			{after: interval, want: answer.Pending}, {after: interval, want: answer.Pending},
			{after: interval, before: approve}, {after: interval, want: answer.CodeExpired}, // used
		},
		"denied": {
			{after: interval, before: func(t *testing.T, d *demo, code answer.DeviceCode) {
				if err := d.DenyDevice(code.UserCode); err != nil {
					t.Fatal(err)
				}
			}, want: answer.ConsentDenied},
		},
		"nobody came": {{after: interval, want: answer.Pending}, {after: 10 * time.Minute, want: answer.CodeExpired}},
		"asked in a hurry": {
			{after: interval, want: answer.Pending}, {after: time.Second, want: answer.SlowDown}, {after: 2 * interval, before: approve},
		},
		"the secret is wrong": {
			{after: interval, before: func(_ *testing.T, d *demo, _ answer.DeviceCode) {
				d.SetClientSecret("another", false)
			}, want: answer.ApplicationRejected},
		},
		"a moment of darkness": {
			{after: interval, before: func(_ *testing.T, d *demo, _ answer.DeviceCode) {
				d.Inject(demomarket.Maintenance().Once())
			}, want: answer.Unavailable},
			{after: interval, before: approve},
		},
	}
	for name, polls := range tests {
		t.Run(name, func(t *testing.T) {
			clock := start
			demo := newDemoAt(t, func() time.Time { return clock }, nil)
			code, err := demo.endpoint.StartDevice(t.Context(), demo.issuer+"/device_authorization", []string{"openid", "offline_access"})
			if err != nil {
				t.Fatalf("asking for a code: %v", err)
			}
			if code.Interval != interval || !code.ExpiresAt.Equal(start.Add(10*time.Minute)) || code.URL != demo.issuer+"/device" ||
				code.CompleteURL != code.URL+"?user_code="+code.UserCode {
				t.Errorf("the code is %+v", code)
			}
			for i, poll := range polls {
				clock = clock.Add(poll.after)
				if poll.before != nil {
					poll.before(t, demo, code)
				}
				tokens, err := demo.endpoint.Device(t.Context(), code.Code)
				if poll.want != "" {
					if got := failure(t, err); got.Kind != poll.want {
						t.Errorf("poll %d: the failure is %+v, want %s", i, got, poll.want)
					}
					continue
				}
				if err != nil {
					t.Fatalf("poll %d: %v", i, err)
				}
				if !demo.AccessTokenValid(tokens.AccessToken) || !demo.RefreshTokenValid(tokens.RefreshToken) || tokens.IDToken == "" {
					t.Errorf("poll %d: the tokens are %+v", i, tokens)
				}
				if !tokens.IssuedAt.Equal(clock) || !tokens.ExpiresAt.Equal(clock.Add(time.Hour)) {
					t.Errorf("poll %d: the tokens live from %v to %v", i, tokens.IssuedAt, tokens.ExpiresAt)
				}
			}
		})
	}
}

// TestDeviceGoesToOneAddress does not follow a redirect with the client secret.
func TestDeviceGoesToOneAddress(t *testing.T) {
	elsewhere := listen(t, respond(http.StatusOK, invited(t, nil)))
	for _, status := range []int{301, 302, 303, 307, 308} {
		platform := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		_, err := platform.endpoint().StartDevice(t.Context(), platform.URL+"/device", nil)
		if got := failure(t, err); got.Kind != answer.Malformed || got.Status != status {
			t.Errorf("an answer with %d is %+v, want Malformed", status, got)
		}
	}
	if got := elsewhere.seen(); len(got) != 0 {
		t.Errorf("the redirect's target received %+v", got)
	}
}

// TestStartDeviceReadsAllOfTheAnswer has one that breaks off, and one that is too large.
func TestStartDeviceReadsAllOfTheAnswer(t *testing.T) {
	platform := listen(t, breakOff)
	_, err := platform.endpoint().StartDevice(t.Context(), platform.URL+"/device", nil)
	if got := failure(t, err); got.Kind != answer.Unavailable || !strings.Contains(got.Message, "unexpected EOF") {
		t.Errorf("an answer that breaks off is %+v, want Unavailable", got)
	}
	closed := false
	large := transport(func(r *http.Request) (*http.Response, error) {
		response, err := answers(http.StatusOK, `{"device_code":"`+strings.Repeat("a", 2<<20)+`"}`)(r)
		response.Body = closing{response.Body, func() { closed = true }}
		return response, err
	})
	_, err = endpoint(large).StartDevice(t.Context(), deviceURL, nil)
	if got := failure(t, err); got.Kind != answer.Malformed {
		t.Errorf("an answer of two MiB is %+v, want Malformed", got)
	}
	if !closed {
		t.Error("the answer was not closed, which costs a connection")
	}
}

// closing is a body that tells when it is closed.
type closing struct {
	io.ReadCloser
	closed func()
}

func (c closing) Close() error {
	c.closed()
	return c.ReadCloser.Close()
}
