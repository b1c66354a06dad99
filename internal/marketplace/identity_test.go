package marketplace_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

const accessToken = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"

// identifying is a platform with an identity request.
func identifying(t *testing.T, request v1alpha1.IdentityRequest) *marketplace.Platform {
	t.Helper()
	if request.URL == "" {
		request.URL = "https://{host}/me"
	}
	return resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.Identity.Request = &request }), account())
}

func TestIdentityRequest(t *testing.T) {
	tests := map[string]struct {
		headers []v1alpha1.HTTPHeader
		want    http.Header
	}{
		"the token goes as Bearer": {
			want: http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + accessToken}},
		},
		"headers are added, and filled in": {
			headers: []v1alpha1.HTTPHeader{{Name: "Accept", Value: "application/vnd.allegro.public.v1+json"}, {Name: "X-Host", Value: "{host}"}},
			want: http.Header{
				"Accept": {"application/vnd.allegro.public.v1+json"}, "X-Host": {"login.example.com"}, "Authorization": {"Bearer " + accessToken},
			},
		},
		"a header that carries the token takes the place of Bearer": {
			headers: []v1alpha1.HTTPHeader{{Name: "x-amz-access-token", Value: "{accessToken}"}},
			want:    http.Header{"Accept": {"application/json"}, "X-Amz-Access-Token": {accessToken}},
		},
		"so does one that carries it among other text": {
			headers: []v1alpha1.HTTPHeader{{Name: "X-Auth", Value: "token {accessToken}; host={host}"}, {Name: "X-Partner", Value: "1"}},
			want: http.Header{
				"Accept": {"application/json"}, "X-Auth": {"token " + accessToken + "; host=login.example.com"}, "X-Partner": {"1"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/me" {
					t.Errorf("%s %s arrived, want GET /me", r.Method, r.URL.Path)
				}
				got = r.Header.Clone()
				got.Del("User-Agent")
				got.Del("Accept-Encoding")
				_, _ = io.WriteString(w, `{}`)
			}))
			platform := identifying(t, v1alpha1.IdentityRequest{URL: v1alpha1.URLTemplate(server.URL + "/me"), Headers: test.headers})
			if _, err := platform.Identify(t.Context(), server.Client(), accessToken); err != nil {
				t.Fatal(err)
			}
			server.Close()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentify(t *testing.T) {
	tests := map[string]struct {
		id, login string // JSONPaths
		answer    string
		want      answer.Identity
		err       string
	}{
		"id and login":              {"{.id}", "{.login}", `{"id":"44130512","login":"my-shop"}`, answer.Identity{ID: "44130512", Login: "my-shop"}, ""},
		"an id that is a number":    {"{.id}", "", `{"id":44130512}`, answer.Identity{ID: "44130512"}, ""},
		"a number with many digits": {"{.id}", "", `{"id":12345678901234567890}`, answer.Identity{ID: "12345678901234567890"}, ""},
		"a login alone":             {"", "{.login}", `{"id":"1","login":"my-shop"}`, answer.Identity{Login: "my-shop"}, ""},
		"neither is asked for, so the answer is not read": {"", "", `hello`, answer.Identity{}, ""},
		"deep inside":                {"{.data.shops[0].id}", "", `{"data":{"shops":[{"id":7}]}}`, answer.Identity{ID: "7"}, ""},
		"one of several":             {`{.shops[?(@.kind=="main")].id}`, "", `{"shops":[{"kind":"x","id":1},{"kind":"main","id":2}]}`, answer.Identity{ID: "2"}, ""},
		"all of several":             {"{.shops[*].id}", "", `{"shops":[{"id":1},{"id":"2"}]}`, answer.Identity{ID: "1 2"}, ""},
		"put together":               {"{.site}-{.id}", "", `{"site":"MLB","id":5}`, answer.Identity{ID: "MLB-5"}, ""},
		"a missing key":              {"{.id}", "{.login}", `{"login":"my-shop"}`, answer.Identity{Login: "my-shop"}, ""},
		"a missing key, deep inside": {"{.a.b.id}", "", `{"a":{}}`, answer.Identity{}, ""},
		"a key in something else":    {"{.a.b}", "", `{"a":"text"}`, answer.Identity{}, ""},
		"null is nothing":            {"{.id}", "{.a.b}", `{"id":null,"a":null}`, answer.Identity{}, ""},
		"white space is cut":         {"{.id}", "", `{"id":" 7\n"}`, answer.Identity{ID: "7"}, ""},
		"what cannot be printed is left out": {
			"{.id}", "", `{"id":"a\u0000b\u001b[31mc\u007f"}`, answer.Identity{ID: "ab[31mc"}, "",
		},
		"no more than a status holds": {
			"{.id}", "", `{"id":"` + strings.Repeat("ä", 300) + `"}`, answer.Identity{ID: strings.Repeat("ä", 128)}, "",
		},
		"a flag is no name":    {"{.id}", "", `{"id":true}`, answer.Identity{}, "identity.request.idPath: finds neither text nor a number in the answer"},
		"an object is no name": {"{.id}", "", `{"id":{"a":1}}`, answer.Identity{}, "identity.request.idPath: finds neither text nor a number in the answer"},
		"a list is no name":    {"", "{.id}", `{"id":["a"]}`, answer.Identity{}, "identity.request.loginPath: finds neither text nor a number in the answer"},
		"a place beyond a list": {
			"{.shops[3].id}", "", `{"shops":[]}`, answer.Identity{}, "identity.request.idPath: does not fit the answer",
		},
		"a page where any answer does": {"", "", "<!DOCTYPE html><html>", answer.Identity{}, "the marketplace answered with a web page"},
		"no answer where any does":     {"", "", "", answer.Identity{}, ""},
		"a path that is none":          {"{.id", "", `{"id":"1"}`, answer.Identity{}, "identity.request.idPath: is no JSONPath"},
		"a login path that is none":    {"", "{[}", `{"id":"1"}`, answer.Identity{}, "identity.request.loginPath: is no JSONPath"},
		"a page":                       {"{.id}", "", `<html>`, answer.Identity{}, `the marketplace's answer is not a JSON object (content type "application/json")`},
		"nothing":                      {"{.id}", "", ``, answer.Identity{}, "the marketplace's answer is empty"},
		"a list":                       {"{.id}", "", `[]`, answer.Identity{}, `the marketplace's answer is not a JSON object (content type "application/json")`},
		"two MiB":                      {"{.id}", "", `{"id":"` + strings.Repeat("x", 2<<20) + `"}`, answer.Identity{}, "the marketplace's answer is larger than 128 KiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := identifying(t, v1alpha1.IdentityRequest{IDPath: test.id, LoginPath: test.login})
			client := &http.Client{Transport: answers(200, "application/json", test.answer)}
			got, err := platform.Identify(t.Context(), client, accessToken)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			text := ""
			if err != nil {
				text = strings.TrimPrefix(err.Error(), "testing the connection: ")
			}
			if diff := cmp.Diff(test.err, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentifyFails(t *testing.T) {
	timeout := func(*http.Request) (*http.Response, error) { return nil, timeoutError{} }
	gone := func(*http.Request) (*http.Response, error) { return nil, errors.New("token " + accessToken) }
	breaking := func(r *http.Request) (*http.Response, error) {
		response, err := answers(200, "application/json", "")(r)
		response.Body = io.NopCloser(broken{bytes.NewBufferString(`{"id":`)})
		return response, err
	}
	tests := map[string]struct {
		transport transport
		status    int
		refused   bool
		want      string
	}{
		"a page instead of an answer": {answers(200, "text/html", `<html>`), 200, false, `the marketplace's answer is not a JSON object (content type "text/html")`},
		"an empty answer":             {answers(200, "", ``), 200, false, "the marketplace's answer is empty"},
		"a redirect": {
			redirects("https://login.example.com/sign-in?next=me"), 302, false,
			"the marketplace answered HTTP 302, a redirect to login.example.com/sign-in, which is not followed",
		},
		"a redirect that repeats the token": {
			redirects("https://login.example.com/" + accessToken), 302, false,
			"the marketplace answered HTTP 302, a redirect to login.example.com/…, which is not followed",
		},
		"a token that is refused":   {answers(401, "application/json", `{"error":"`+accessToken+`"}`), 401, true, "the marketplace answered HTTP 401"},
		"a token without the right": {answers(403, "application/json", ``), 403, false, "the marketplace answered HTTP 403"},
		"a page that is not there":  {answers(404, "text/html", `<html>`), 404, false, "the marketplace answered HTTP 404"},
		"too many requests":         {answers(429, "text/html", ``), 429, false, "the marketplace answered HTTP 429"},
		"maintenance":               {answers(503, "text/html", ``), 503, false, "the marketplace answered HTTP 503"},
		"a timeout":                 {timeout, 0, false, "the marketplace did not answer in time"},
		"no connection":             {gone, 0, false, "the marketplace cannot be reached"},
		"half an answer":            {breaking, 0, false, "the answer broke off"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := identifying(t, v1alpha1.IdentityRequest{IDPath: "{.id}"})
			_, err := platform.Identify(t.Context(), outgoing.NewClient(test.transport, time.Minute), accessToken)
			var failed *answer.IdentityError
			if !errors.As(err, &failed) {
				t.Fatalf("the error is %T (%v), want an *IdentityError", err, err)
			}
			if unanswered := test.status == 0 || test.status >= 500; failed.Unanswered() != unanswered {
				t.Errorf("unanswered is %v, want %v", failed.Unanswered(), unanswered)
			}
			if again := test.status == 0 || test.status >= 500 || test.status == 200; failed.Unavailable() != again {
				t.Errorf("asking again may help: %v, want %v", failed.Unavailable(), again)
			}
			if failed.Status != test.status || failed.Refused() != test.refused || err.Error() != "testing the connection: "+test.want {
				t.Errorf("the failure is %+v (%v), want status %d, refused %v and %q", failed, err, test.status, test.refused, test.want)
			}
		})
	}
}

// redirects answers with a redirect.
func redirects(to string) transport {
	return func(r *http.Request) (*http.Response, error) {
		response, err := answers(http.StatusFound, "text/html", "")(r)
		response.Header.Set("Location", to)
		return response, err
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "i/o timeout" }
func (timeoutError) Timeout() bool { return true }

// TestIdentifyGoesNoFurther sends the token to the address of the Marketplace, and not where its answer points, given
// a client that does not follow.
func TestIdentifyGoesNoFurther(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	t.Cleanup(server.Close)
	platform := identifying(t, v1alpha1.IdentityRequest{URL: v1alpha1.URLTemplate(server.URL), IDPath: "{.id}"})
	client := outgoing.NewClient(http.DefaultTransport, time.Minute)
	_, err := platform.Identify(t.Context(), client, accessToken)
	var failed *answer.IdentityError
	if !errors.As(err, &failed) || failed.Status != http.StatusFound {
		t.Errorf("the error is %v, want one with status 302", err)
	}
}

func TestCanIdentify(t *testing.T) {
	none := resolved(t, shop(), account())
	proves := identifying(t, v1alpha1.IdentityRequest{LoginPath: "{.login}"})
	names := identifying(t, v1alpha1.IdentityRequest{IDPath: "{.id}"})
	claim := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.Identity.IDTokenClaim = "sub" }), account())
	prefix := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.Identity.AccessTokenPrefixEnd = "." }), account())
	answer := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Fields.AccountID = "user_id" }), account())
	type abilities struct{ CanIdentify, NamesAccount, TellsAccount bool }
	for name, test := range map[string]struct {
		platform *marketplace.Platform
		want     abilities
	}{
		"a platform without the request":           {none, abilities{}},
		"a platform whose request proves a token":  {proves, abilities{CanIdentify: true}},
		"a platform whose request names a account": {names, abilities{true, true, true}},
		"a platform whose tokens name it":          {claim, abilities{TellsAccount: true}},
		"a platform whose tokens begin with it":    {prefix, abilities{TellsAccount: true}},
		"a platform whose answers name it":         {answer, abilities{TellsAccount: true}},
	} {
		if got := (abilities{test.platform.CanIdentify(), test.platform.NamesAccount(), test.platform.TellsAccount()}); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
