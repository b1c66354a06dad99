package openid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// issuer is an OpenID Connect issuer that counts what is fetched from it.
type issuer struct {
	*httptest.Server
	mu       sync.Mutex
	keys     map[string]*ecdsa.PrivateKey
	document map[string]any
	fetched  map[string]int
	further  []string         // keys as JSON that stand before its own
	answer   http.HandlerFunc // instead of its own; nil for none
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{keys: map[string]*ecdsa.PrivateKey{}, fetched: map[string]int{}}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetched[r.URL.Path]++
		switch {
		case i.answer != nil:
			i.answer(w, r)
		case r.URL.Path == "/.well-known/openid-configuration":
			respond(http.StatusOK, object(t, i.document))(w, r)
		case r.URL.Path == "/keys":
			keys := slices.Clone(i.further)
			for id, key := range i.keys {
				keys = append(keys, published(t, jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"}))
			}
			respond(http.StatusOK, `{"keys":[`+strings.Join(keys, ",")+`]}`)(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	i.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.Start()
	t.Cleanup(i.Close)
	i.document = map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "token_endpoint": i.URL + "/token",
		"authorization_endpoint": i.URL + "/authorize", "device_authorization_endpoint": i.URL + "/device",
		"revocation_endpoint": i.URL + "/revoke", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	}
	i.addKey(t, "first")
	return i
}

// published is a key as a set of keys holds it.
func published(t *testing.T, key jose.JSONWebKey) string {
	t.Helper()
	text, err := key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change changes the issuer while nobody is being served.
func (i *issuer) change(how func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	how()
}

func (i *issuer) addKey(t *testing.T, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.change(func() { i.keys[id] = key })
}

// sign signs claims with a key of that name, whose it may be.
func sign(t *testing.T, key any, algorithm jose.SignatureAlgorithm, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// token is an ID token of the issuer; claims replace its own.
func (i *issuer) token(t *testing.T, key string, claims map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": i.URL, "sub": "248289761001", "aud": clientID, "iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
	maps.Copy(all, claims)
	return sign(t, i.keys[key], jose.ES256, key, all)
}

func (i *issuer) providers(now func() time.Time) *openid.Providers {
	return &openid.Providers{HTTP: outgoing.NewClient(i.Client().Transport, time.Minute), Now: now}
}

const discoveryPath = "/.well-known/openid-configuration"

// fetches is how often a path was asked for.
func (i *issuer) fetches(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched[path]
}

func TestDiscover(t *testing.T) {
	issuer := newIssuer(t)
	got, err := issuer.providers(now).Discover(t.Context(), issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := openid.Endpoints{
		Authorization: issuer.URL + "/authorize", DeviceAuthorization: issuer.URL + "/device",
		Token: issuer.URL + "/token", Revocation: issuer.URL + "/revoke", IssuerParameter: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiscoverWhatIsNotThere(t *testing.T) {
	issuer := newIssuer(t)
	issuer.change(func() {
		issuer.document = map[string]any{"issuer": issuer.URL, "token_endpoint": issuer.URL + "/token"}
	})
	got, err := issuer.providers(now).Discover(t.Context(), issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(openid.Endpoints{Token: issuer.URL + "/token"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiscoveryThatFails(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		kind   answer.Kind
		says   string
	}{
		"another issuer": {
			respond(200, `{"issuer":"https://login.example.com/","token_endpoint":"https://login.example.com/token"}`),
			answer.Malformed, `calls itself "login.example.com/"; the two must be exactly the same`,
		},
		"an issuer of many letters": {
			respond(200, `{"issuer":"`+strings.Repeat("x", 2000)+`"}`), answer.Malformed, "…",
		},
		"no issuer":    {respond(200, `{}`), answer.Malformed, `calls itself ""`},
		"nobody there": {http.NotFound, answer.Unavailable, "discovering the issuer: HTTP 404"},
		"maintenance":  {respond(503, `<html>later</html>`), answer.Unavailable, "discovering the issuer: HTTP 503"},
		"a page":       {respond(200, `<html>Sign in to our Wi-Fi</html>`), answer.Unavailable, "discovering the issuer: "},
		"nothing":      {respond(200, ``), answer.Unavailable, "discovering the issuer: "},
		"a list":       {respond(200, `[]`), answer.Unavailable, "discovering the issuer: "},
		"two MiB":      {respond(200, `{"issuer":"`+strings.Repeat("x", 2<<20)+`"}`), answer.Unavailable, "discovering the issuer: the answer is larger than 128 KiB"},
		"many values": {
			respond(200, `{"scopes_supported":[`+strings.Repeat(`{"":0},`, 5000)+`0]}`), answer.Unavailable, "discovering the issuer: the answer holds more names and values",
		},
		"hung up":    {hangUp, answer.Unavailable, "discovering the issuer: the connection to the marketplace failed: EOF"},
		"broken off": {breakOff, answer.Unavailable, "discovering the issuer: the connection to the marketplace failed: unexpected EOF"},
		"a redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.example.com/.well-known/openid-configuration?tenant=s3cr3t", http.StatusMovedPermanently)
			},
			answer.Unavailable, "HTTP 301, a redirect to login.example.com/.well-known/openid-configuration, which is not followed",
		},
		"an issuer that is no text": {respond(200, `{"issuer":5}`), answer.Malformed, `calls itself ""`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			issuer.change(func() { issuer.answer = test.answer })
			providers := issuer.providers(now)
			for what, err := range map[string]error{
				"Discover": func() error { _, err := providers.Discover(t.Context(), issuer.URL); return err }(),
				"Verify":   providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0),
			} {
				got := failure(t, err)
				if got.Kind != test.kind || !strings.Contains(err.Error(), test.says) || len([]rune(err.Error())) > 400 {
					t.Errorf("%s: %+v, want %s and %q", what, got, test.kind, test.says)
				}
				if !got.Passes() {
					t.Errorf("%s: the failure is taken for final", what)
				}
			}
		})
	}
}

// TestABadMemberOfTheDocumentTakesNoOtherAlong also where it is the one that is asked for: then it is as good as missing.
func TestABadMemberOfTheDocumentTakesNoOtherAlong(t *testing.T) {
	for member, bad := range map[string]any{
		"revocation_endpoint": 5, "device_authorization_endpoint": []string{"https://x.example.com"}, "authorization_endpoint": nil,
		"jwks_uri": 7, "id_token_signing_alg_values_supported": "ES256", "scopes_supported": map[string]any{"openid": true},
		"authorization_response_iss_parameter_supported": "yes", "userinfo_endpoint": "http://login.example.com/me",
	} {
		t.Run(member, func(t *testing.T) {
			issuer := newIssuer(t)
			issuer.change(func() { issuer.document[member] = bad })
			providers := issuer.providers(now)
			got, err := providers.Discover(t.Context(), issuer.URL)
			if err != nil || got.Token != issuer.URL+"/token" {
				t.Fatalf("got %+v and error %v", got, err)
			}
			err = providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0)
			if member == "jwks_uri" {
				if got := failure(t, err); got.Kind != answer.Malformed || !strings.Contains(err.Error(), "jwks_uri") {
					t.Errorf("the failure is %+v, want one that names jwks_uri", got)
				}
			} else if err != nil {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

func TestADocumentWithAByteOrderMark(t *testing.T) {
	issuer := newIssuer(t)
	issuer.change(func() { issuer.answer = respond(http.StatusOK, "\ufeff"+object(t, issuer.document)) })
	if got, err := issuer.providers(now).Discover(t.Context(), issuer.URL); err != nil || got.Token == "" {
		t.Errorf("got %+v and error %v", got, err)
	}
}

// TestAnIssuerThatPointsInwards is refused by the address that is dialled, which is not told: others read the failure.
func TestAnIssuerThatPointsInwards(t *testing.T) {
	issuer := newIssuer(t)
	public := &openid.Providers{HTTP: outgoing.NewClient(outgoing.NewPublicTransport(), time.Minute), Now: now}
	_, err := public.Discover(t.Context(), issuer.URL)
	if got := failure(t, err); got.Kind != answer.Unavailable || !strings.Contains(err.Error(), "--deny-private-addresses") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the failure is %+v, want Unavailable and why", got)
	}
	if issuer.fetches(discoveryPath) > 0 {
		t.Error("the issuer was asked")
	}
}

func TestDiscoveryOfAnIssuerThatIsDown(t *testing.T) {
	issuer := newIssuer(t)
	issuer.Close()
	_, err := issuer.providers(now).Discover(t.Context(), issuer.URL)
	if got := failure(t, err); got.Kind != answer.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the failure is %+v, want Unavailable", got)
	}
}

// TestDiscoveryIsFetchedOnceADay steps through two days in which the issuer goes away for a while.
func TestDiscoveryIsFetchedOnceADay(t *testing.T) {
	issuer := newIssuer(t)
	clock := start
	providers := issuer.providers(func() time.Time { return clock })
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	for _, step := range []struct {
		why    string
		after  time.Duration
		answer http.HandlerFunc
		want   int
	}{
		{"the first call fetches", 0, nil, 1},
		{"the second does not", 0, nil, 1},
		{"nor does one a day later, almost", 24*time.Hour - time.Second, nil, 1},
		{"a day later it is fetched again", time.Second, nil, 2},
		{"a day later the issuer is down, and yesterday's serves", 24 * time.Hour, down, 3},
		{"it is not asked at once again", 0, down, 3},
		{"it is asked again a little later", 10 * time.Minute, down, 4},
		{"it is asked again a little later, and is there", 10 * time.Minute, nil, 5},
		{"and then not for a day", 24*time.Hour - time.Second, nil, 5},
	} {
		clock = clock.Add(step.after)
		issuer.change(func() { issuer.answer = step.answer })
		if got, err := providers.Discover(t.Context(), issuer.URL); err != nil || got.Token != issuer.URL+"/token" {
			t.Fatalf("%s: token endpoint %q and error %v", step.why, got.Token, err)
		}
		if got := issuer.fetches(discoveryPath); got != step.want {
			t.Errorf("%s: %d fetches, want %d", step.why, got, step.want)
		}
	}
}

func TestVerify(t *testing.T) {
	issuer := newIssuer(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := issuer.token(t, "first", nil)
	claims := map[string]any{"iss": issuer.URL, "sub": "1", "aud": clientID, "exp": start.Add(time.Hour).Unix()}
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	tests := map[string]struct {
		token string
		says  string // empty for a token that is good
	}{
		"a good one":                  {token: good},
		"one for several audiences":   {token: issuer.token(t, "first", map[string]any{"aud": []string{"another", clientID}, "azp": clientID})},
		"one for another application": {issuer.token(t, "first", map[string]any{"aud": "another"}), "expected audience"},
		"one for nobody":              {issuer.token(t, "first", map[string]any{"aud": nil}), "expected audience"},
		"one of another issuer":       {issuer.token(t, "first", map[string]any{"iss": "https://x.org"}), "issued by a different provider"},
		"one that ends now":           {token: issuer.token(t, "first", map[string]any{"exp": start.Unix()})},
		"one that ended a minute ago": {token: issuer.token(t, "first", map[string]any{"exp": start.Unix() - 60})}, // clocks differ
		"one that ended before that":  {issuer.token(t, "first", map[string]any{"exp": start.Unix() - 61}), "token is expired"},
		"one that ended in 1970":      {issuer.token(t, "first", map[string]any{"exp": 0}), "token is expired"},
		"one that never ends":         {issuer.token(t, "first", map[string]any{"exp": nil}), "failed to unmarshal claims"},
		"one for next week":           {issuer.token(t, "first", map[string]any{"nbf": start.Add(24 * time.Hour).Unix()}), "before the nbf"},
		"one signed by a stranger":    {sign(t, stranger, jose.ES256, "first", claims), "failed to verify"},
		"one by a key not published":  {sign(t, stranger, jose.ES256, "unknown", claims), "failed to verify"},
		"one with a public secret":    {sign(t, []byte(strings.Repeat("k", 32)), jose.HS256, "first", claims), "malformed jwt"},
		"one without a signature":     {jwtOf(t, "none", claims), "malformed jwt"},
		"one with another payload":    {header + "." + payload[:8] + "AAAA" + payload[12:] + "." + signature, "failed to verify"},
		"one with another signature":  {header + "." + payload + "." + strings.Repeat("A", len(signature)), "failed to verify"},
		"one cut short":               {good[:len(good)-8], "failed to verify"},
		"no JWT":                      {"v^1.1#i^1#p^3", "malformed jwt"},
		"nothing":                     {"", "malformed jwt"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, test.token, "", 0)
			if test.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			got := failure(t, err)
			if got.Kind != answer.Malformed || !strings.Contains(err.Error(), "the ID token cannot be verified: ") ||
				!strings.Contains(err.Error(), test.says) {
				t.Errorf("the failure is %+v, want Malformed and %q", got, test.says)
			}
			if piece := leaked(err.Error(), test.token); piece != "" {
				t.Errorf("the error holds %q of the token: %v", piece, err)
			}
		})
	}
}

// TestVerifyByTheClockOfTheIssuer: a clock of ours that is ahead makes no ID token expire.
func TestVerifyByTheClockOfTheIssuer(t *testing.T) {
	issuer := newIssuer(t)
	for name, test := range map[string]struct {
		claims map[string]any
		delay  time.Duration
		good   bool
	}{
		"it ends within the hour that the issuer is behind": {map[string]any{"exp": start.Add(-50 * time.Minute).Unix()}, time.Hour, true},
		"it ends with it, and clocks differ by a minute":    {map[string]any{"exp": start.Add(-61 * time.Minute).Unix()}, time.Hour, true},
		"it had ended by the issuer's clock as well":        {map[string]any{"exp": start.Add(-62 * time.Minute).Unix()}, time.Hour, false},
		"nobody knows of the issuer's clock":                {map[string]any{"exp": start.Add(-50 * time.Minute).Unix()}, 0, false},
		"it is good by ours, and begins by ours":            {map[string]any{"nbf": start.Unix()}, 24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", test.claims), "", test.delay)
			if good := err == nil; good != test.good {
				t.Errorf("it is good: %t, want %t: %v", good, test.good, err)
			}
		})
	}
}

// TestVerifyNonce binds an ID token to the sign-in that asked for it.
func TestVerifyNonce(t *testing.T) {
	issuer := newIssuer(t)
	with := issuer.token(t, "first", map[string]any{"nonce": "the-nonce-of-this-sign-in"})
	without := issuer.token(t, "first", nil)
	tests := map[string]struct {
		token, nonce string
		good         bool
	}{
		"the one that was sent":         {with, "the-nonce-of-this-sign-in", true},
		"another":                       {with, "the-nonce-of-another-one", false},
		"a part of it":                  {with, "the-nonce", false},
		"none where one was sent":       {without, "the-nonce-of-this-sign-in", false},
		"none where none was sent":      {without, "", true},
		"one where nobody asked for it": {with, "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, test.token, test.nonce, 0)
			if test.good {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if got := failure(t, err); got.Kind != answer.Malformed || got.Message != "the ID token was made for another sign-in" {
				t.Errorf("the failure is %+v, want Malformed", got)
			}
		})
	}
	forged := sign(t, []byte(strings.Repeat("k", 32)), jose.HS256, "first", map[string]any{"iss": issuer.URL, "nonce": "n"})
	err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, forged, "n", 0)
	if !strings.Contains(failure(t, err).Message, "cannot be verified") {
		t.Errorf("a nonce stands in for a signature: %v", err)
	}
}

// TestVerifyAuthorizedParty is S14: an ID token that was made for another application is not taken, also where it names this one (OIDC Core
// section 3.1.3.7).
func TestVerifyAuthorizedParty(t *testing.T) {
	issuer := newIssuer(t)
	for name, test := range map[string]struct {
		claims map[string]any
		good   bool
	}{
		"no party, and one audience":        {nil, true},
		"no party, and a list of one":       {map[string]any{"aud": []string{clientID}}, true},
		"no party, and two audiences":       {map[string]any{"aud": []string{clientID, "another"}}, false},
		"the application":                   {map[string]any{"azp": clientID}, true},
		"the application, of two audiences": {map[string]any{"azp": clientID, "aud": []string{"another", clientID}}, true},
		"another":                           {map[string]any{"azp": "another"}, false},
		"another, of two audiences":         {map[string]any{"azp": "another", "aud": []string{"another", clientID}}, false},
		"a part of it":                      {map[string]any{"azp": clientID[:3]}, false},
		"an empty one":                      {map[string]any{"azp": ""}, false},
		"none, by name":                     {map[string]any{"azp": nil}, true},
		"a list":                            {map[string]any{"azp": []string{clientID}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", test.claims), "", 0)
			switch {
			case test.good && err != nil:
				t.Errorf("refused: %v", err)
			case test.good:
			case err == nil:
				t.Error("accepted")
			default:
				if got := failure(t, err); got.Kind != answer.Malformed || got.Message != "the ID token was made for another application (claims aud and azp)" {
					t.Errorf("the failure is %+v, want Malformed", got)
				}
			}
		})
	}
}

// TestKeysThatCannotBeFetched must not be told from a bad token by their page, which is not for others to read.
func TestKeysThatCannotBeFetched(t *testing.T) {
	for name, keys := range map[string]http.HandlerFunc{
		"maintenance": respond(http.StatusServiceUnavailable, "<html>back at noon, says admin@login.example.com</html>"),
		"a page":      respond(http.StatusOK, "<html>Sign in to our Wi-Fi</html>"),
		"nothing":     respond(http.StatusOK, ""),
		"hung up":     hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			providers := issuer.providers(now)
			if _, err := providers.Discover(t.Context(), issuer.URL); err != nil {
				t.Fatal(err)
			}
			issuer.change(func() { issuer.answer = keys })
			err := providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0)
			want := "the ID token cannot be verified: the issuer's keys cannot be fetched: "
			if got := failure(t, err); got.Kind != answer.Unavailable || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "<") {
				t.Errorf("the failure is %+v, want Unavailable and %q", got, want)
			}
			issuer.change(func() { issuer.answer = nil })
			if err := providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestProvidersServeManyAtOnce is for the race detector.
func TestProvidersServeManyAtOnce(t *testing.T) {
	issuer, other := newIssuer(t), newIssuer(t)
	providers := issuer.providers(now)
	tokens := map[string]string{issuer.URL: issuer.token(t, "first", nil), other.URL: other.token(t, "first", nil)}
	var group sync.WaitGroup
	for range 8 {
		for url, token := range tokens {
			group.Go(func() {
				if err := providers.Verify(t.Context(), url, clientID, token, "", 0); err != nil {
					t.Errorf("verifying: %v", err)
				}
			})
		}
	}
	group.Wait()
}
