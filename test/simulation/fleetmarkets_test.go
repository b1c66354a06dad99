package simulation_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// part is a part of a fleet: accounts at one marketplace, of the manifest that is shipped.
type part struct {
	marketplace string
	// percent of all accounts are of this part.
	percent int
	grant   v1alpha1.GrantType
	// host is where tokens are asked for.
	host string
	// life is that of access tokens, which some manifests leave to the answers.
	life time.Duration
	// access and refresh are how long tokens are, in bytes; jwt tells that access tokens are JSON Web Tokens.
	access, refresh int
	jwt             bool
	parameters      map[string]string
}

// mix holds the kinds of accounts in a fleet. docs/performance.md has it as a table.
var mix = []part{
	{marketplace: "allegro", percent: 40, grant: v1alpha1.GrantRefreshToken, host: "allegro.pl", life: 12 * time.Hour, access: 1200, refresh: 1200, jwt: true},
	{marketplace: "ebay", percent: 20, grant: v1alpha1.GrantRefreshToken, host: "api.ebay.com", life: 2 * time.Hour, access: 2000, refresh: 100},
	{
		marketplace: "amazon", percent: 20, grant: v1alpha1.GrantRefreshToken, host: "api.amazon.com", life: time.Hour, access: 400, refresh: 400,
		parameters: map[string]string{"country": "pl"},
	},
	{marketplace: "mercadolibre", percent: 5, grant: v1alpha1.GrantRefreshToken, host: "api.mercadolibre.com", life: 6 * time.Hour, access: 80, refresh: 80},
	{marketplace: "etsy", percent: 5, grant: v1alpha1.GrantRefreshToken, host: "api.etsy.com", life: time.Hour, access: 200, refresh: 200},
	{marketplace: "otto", percent: 5, grant: v1alpha1.GrantClientCredentials, host: "api.otto.market", life: 30 * time.Minute, access: 1200, jwt: true},
	{marketplace: "xsale", percent: 5, grant: v1alpha1.GrantPassword, host: "login.futuriti.pl", life: 24 * time.Hour, access: 1200, jwt: true},
}

// manifest reads the Marketplace that is shipped.
func (p part) manifest() *v1alpha1.Marketplace {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "marketplaces", p.marketplace+".yaml"))
	if err != nil {
		panic(err)
	}
	object := &v1alpha1.Marketplace{}
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		panic(err)
	}
	return object
}

// market is the simulated marketplace of a part, which does what its manifest says.
func (p part) market(w *world, manifest *v1alpha1.Marketplace) *market {
	described := &manifest.Spec
	m := newMarket(w, p.marketplace)
	m.life, m.tells = p.life, "answer"
	m.rotating = described.RefreshToken.Rotation == v1alpha1.RotationRotating
	m.strict = m.rotating
	m.grace, m.consentLife = described.RefreshToken.ReuseGrace.Or(0), described.RefreshToken.Lifetime.Or(0)
	m.sliding = described.RefreshToken.Expiry == v1alpha1.ExpirySliding
	return m
}

// interval is how long a token is used: until it is renewed.
func (p part) interval(manifest *v1alpha1.Marketplace) time.Duration {
	return p.life - manifest.Spec.Renewal.Before.Or(p.life/4)
}

// lengthen makes a token as long as the platform's, by the text after a dot.
func lengthen(token string, long int) string {
	return token + "." + strings.Repeat("x", max(0, long-len(token)-1))
}

// shorten undoes it.
func shorten(token string) string {
	short, _, _ := strings.Cut(token, ".")
	return short
}

// webToken is an access token that names its seller.
func webToken(token, seller string, long int) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims, _ := json.Marshal(map[string]any{"user_name": seller, "sub": seller, "jti": token})
	made := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims) + "."
	return made + strings.Repeat("x", max(1, long-len(made)))
}

// dress makes an answer of a simulated marketplace look like one of the platform.
func (p *fleetPart) dress(text string) []byte {
	var told map[string]any
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		panic(err)
	}
	if token, ok := told["access_token"].(string); ok {
		if p.jwt {
			told["access_token"] = webToken(token, p.market.issued[token].seller, p.access)
		} else {
			told["access_token"] = lengthen(token, p.access)
		}
	}
	if token, ok := told["refresh_token"].(string); ok {
		told["refresh_token"] = lengthen(token, p.refresh)
	}
	document, err := json.Marshal(told)
	if err != nil {
		panic(err)
	}
	return document
}

// formOf reads the body of a token request, in either encoding.
func formOf(c call) url.Values {
	form := url.Values{}
	if strings.HasPrefix(c.ContentType, "application/json") {
		var members map[string]string
		_ = json.Unmarshal(c.Body, &members)
		for key, value := range members {
			form.Set(key, value)
		}
		return form
	}
	form, _ = url.ParseQuery(string(c.Body))
	return form
}

// client is the application that a request names.
func (c call) client(form url.Values) string {
	if basic, ok := strings.CutPrefix(c.Authorization, "Basic "); ok {
		decoded, _ := base64.StdEncoding.DecodeString(basic)
		id, _, _ := strings.Cut(string(decoded), ":")
		return id
	}
	return form.Get("client_id")
}

// ask has a marketplace answer a request for tokens.
func (f *fleet) ask(c call) answer {
	address, err := url.Parse(c.URL)
	if err != nil {
		return answer{Status: http.StatusBadRequest}
	}
	if c.Method == http.MethodGet {
		return f.identify(c.Authorization)
	}
	at, known := f.parts[address.Host]
	if !known {
		f.world.breaks("nobody expects %s %s%s", c.Method, address.Host, address.Path)
		return answer{Status: http.StatusNotFound}
	}
	form := formOf(c)
	f.count(at, c.client(form))
	if name := at.market.nextAnswer("/token"); name != "" {
		how := faults[name]
		f.now().Unanswered++
		return answer{Status: how.status, Header: how.header, Body: []byte(how.body), Late: how.late, Fails: name}
	}
	status, text, _ := at.tokens(f, form)
	if status != http.StatusOK {
		f.world.breaks("%s refused a token: %s", at.marketplace, text)
		return answer{Status: status, Header: typed(jsons), Body: []byte(text)}
	}
	return answer{Status: status, Header: typed(jsons), Body: at.dress(text)}
}

// identify names the seller of an access token, in the words of any of the platforms.
func (f *fleet) identify(authorization string) answer {
	token := strings.TrimPrefix(authorization, "Bearer ")
	for _, p := range f.parts {
		if held := p.market.issued[shorten(token)]; held != nil {
			document, _ := json.Marshal(map[string]any{
				"id": held.seller, "userId": held.seller, "user_id": held.seller, "payload": []any{map[string]string{"storeName": "shop"}},
			})
			return answer{Status: http.StatusOK, Header: typed(jsons), Body: document}
		}
	}
	f.world.breaks("nobody knows the token of a request that asks whose it is")
	return answer{Status: http.StatusUnauthorized}
}

// tokens carries out a request for tokens.
func (p *fleetPart) tokens(f *fleet, form url.Values) (status int, text, given string) {
	switch form.Get("grant_type") {
	case "password":
		return p.market.issue(form.Get("username"), nil, "")
	default:
		if token := form.Get("refresh_token"); token != "" {
			form.Set("refresh_token", shorten(token))
		}
		return p.market.token(f.operator, form, "")
	}
}
