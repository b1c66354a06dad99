package marketplaces_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// FuzzAnswers gives any answer to every Marketplace. Whatever comes, tokens can stand in headers, and messages for people show no credential.
func FuzzAnswers(f *testing.F) {
	const sent = "Zq7wK4mB1xRefresh"
	schema := schema(f)
	var objects []*v1alpha1.Marketplace
	all := manifests(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		object, err := typed(stored(schema, all[name]))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range folder(f, name) {
			for _, step := range file.Steps {
				if step.Answer != nil {
					f.Add(byte(len(objects)), step.Answer.Status, step.Answer.Header.Get("Content-Type"), step.Answer.Body)
				}
			}
		}
		objects = append(objects, object)
	}
	f.Fuzz(func(t *testing.T, at byte, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		object := objects[int(at)%len(objects)]
		p := &player{object: object, now: exchange.Begin, ask: askOf(object, sent)}
		p.endpoints.Token = "https://login.example.com/token"
		step := &exchange.Step{
			Request: &exchange.Request{},
			Answer:  &exchange.Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body},
		}
		p.wire = &wire{step: step}
		outcome, got := p.outcome(t.Context(), step)
		if len(p.wire.sent) != 1 {
			t.Fatalf("%d requests, want 1", len(p.wire.sent))
		}
		switch got := got.(type) {
		case tokens:
			for _, token := range []string{got.AccessToken, got.RefreshToken, got.IDToken, got.TokenType} {
				if strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("a token is %q", token)
				}
			}
			if got.AccessToken == "" || got.Expires <= 0 && !p.platform.TokensNeverEnd || got.Authorization < 0 {
				t.Errorf("the tokens are %+v", got)
			}
			for key, value := range got.Published {
				isToken := value == got.AccessToken || value == got.RefreshToken || value == got.IDToken
				if isToken || len(value) > 1024 || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("key %s of the token Secret is %q", key, value)
				}
			}
		case refused:
			if got.Kind == "" || strings.Contains(got.Message+got.Code, sent) || strings.ContainsAny(got.Message+got.Code, "\r\n\x00") {
				t.Errorf("what people read is %+v", got)
			}
		default:
			t.Errorf("what comes of it is %s", outcome)
		}
		if bytes.Contains([]byte(p.platform.RequestContent()), []byte(sent)) {
			t.Error("the content of requests holds a credential")
		}
	})
}

// askOf asks a Marketplace for tokens with a grant that it offers.
func askOf(object *v1alpha1.Marketplace, credential string) exchange.Ask {
	ask := exchange.Ask{Do: exchange.Renew, Grant: string(v1alpha1.GrantRefreshToken), RefreshToken: credential, Parameters: map[string]string{}}
	switch {
	case slices.Contains(object.Spec.Grants, v1alpha1.GrantRefreshToken):
	case slices.Contains(object.Spec.Grants, v1alpha1.GrantPassword):
		ask.Do, ask.Grant, ask.Username, ask.Password = exchange.LogIn, string(v1alpha1.GrantPassword), "seller", credential
	default:
		ask.Do, ask.Grant = exchange.AskAsApplication, string(v1alpha1.GrantClientCredentials)
	}
	for _, parameter := range object.Spec.Parameters {
		switch {
		case !parameter.Required:
		case len(parameter.Choices) > 0:
			ask.Parameters[parameter.Name] = parameter.Choices[0].Value
		default:
			ask.Parameters[parameter.Name] = "my-shop"
		}
	}
	return ask
}
