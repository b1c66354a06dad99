package demomarket

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// serveAuthorization is the authorization endpoint (RFC 6749 section 3.1).
func (m *Market) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	m.servePages(w, r, m.beginAuthorization)
}

// beginAuthorization answers an authorization request: by a page, or straight back if the browser is known already and
// the request does not ask for more.
func (m *Market) beginAuthorization(x *exchange) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	request, denied := m.addressed(x)
	if denied != nil {
		return m.undeliverable(x, denied)
	}
	if denied := request.read(m, x); denied != nil {
		return request.refused(m, x, denied)
	}
	v := &visit{errand: request, clientID: request.client.id, scopes: request.granted, prompts: request.prompts}
	held := m.session(x)
	if v.wants("none") {
		if denied := v.silent(held); denied != nil {
			return request.refused(m, x, denied)
		}
	}
	return m.goOn(x, v, held)
}

// addressed finds out which application asks, and where the answer may be sent. As long as that is not certain nobody is sent anywhere
// (RFC 6749 section 4.1.2.1).
func (m *Market) addressed(x *exchange) (*authorizationRequest, *denial) {
	if x.unreadable != nil {
		return nil, x.unreadable
	}
	policy := m.platform.Authorization
	request := &authorizationRequest{named: x.parameters["redirect_uri"] != ""}
	if request.client = m.application(x); request.client == nil {
		return nil, deny(platforms.UnknownClient, "The application is not registered.")
	}
	var registered bool
	request.redirect, registered = request.client.redirect(x.parameters["redirect_uri"], policy.RedirectOptional)
	if !registered {
		return nil, deny(platforms.UnknownRedirect, "The redirect_uri is not registered.")
	}
	if rule := policy.Draft; rule.Name != "" {
		rule.Forbidden = !request.client.draft
		if checkRule(rule, x) != nil {
			return nil, deny(platforms.DraftMismatch, "The parameter "+rule.Name+" does not fit the state of the application.")
		}
	}
	return request, nil
}

// application is the client that an authorization request names, nil when there is none of that id.
func (m *Market) application(x *exchange) *client {
	if m.platform.Authorization.ClientParameter == "" {
		return m.clients[x.parameters["client_id"]]
	}
	id := x.parameters[m.platform.Authorization.ClientParameter]
	for _, known := range m.clients {
		if id != "" && known.applicationID == id {
			return known
		}
	}
	return nil
}

// read takes the parameters of the request, or refuses it.
func (a *authorizationRequest) read(m *Market, x *exchange) *denial {
	policy := m.platform.Authorization
	a.state, a.nonce = x.parameters["state"], x.parameters["nonce"]
	a.echo = echoed(policy, x.parameters)
	if denied := checkType(policy, x.parameters); denied != nil {
		return denied
	}
	challenge, method := x.parameters["code_challenge"], x.parameters["code_challenge_method"]
	if denied := checkChallenge(policy.PKCE, challenge, method, a.client); denied != nil {
		return denied
	}
	if policy.PKCE != platforms.NoPKCE {
		a.challenge = challenge
	}
	for prompt := range strings.FieldsSeq(x.parameters["prompt"]) {
		if policy.Understands(prompt) {
			a.prompts = append(a.prompts, prompt)
		}
	}
	if slices.Contains(a.prompts, "none") && len(a.prompts) > 1 {
		return deny(platforms.InvalidRequest, "prompt none goes with no other")
	}
	var denied *denial
	a.asked = x.scopes()
	a.granted, denied = m.grantedScopes(a.asked, m.platform.Scopes)
	return denied
}

// checkType tells whether the request is for a code, in the platform's way.
func checkType(a platforms.Authorization, parameters map[string]string) *denial {
	kind := parameters["response_type"]
	switch {
	case a.Untyped && (kind != "" || parameters["scope"] != ""):
		return deny(platforms.InvalidRequest, "response_type and scope are not allowed")
	case a.Untyped:
		return nil
	case kind == "":
		return deny(platforms.InvalidRequest, "response_type is missing")
	case kind != "code":
		return deny(platforms.UnsupportedResponse, "response_type must be code")
	}
	return nil
}

// echoed are the parameters that the platform does not know, where it repeats them.
func echoed(a platforms.Authorization, parameters map[string]string) url.Values {
	echo := url.Values{}
	if !a.Echo {
		return echo
	}
	known := []string{
		"response_type", "client_id", "redirect_uri", "scope", "state", "prompt", "code_challenge", "code_challenge_method",
	}
	for name, value := range parameters {
		if !slices.Contains(known, name) {
			echo.Set(name, value)
		}
	}
	return echo
}
