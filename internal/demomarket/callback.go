package demomarket

import (
	"cmp"
	"net/url"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// allowed is the answer to a person's yes: a code, by the way of his browser (RFC 6749 section 4.1.2).
func (a *authorizationRequest) allowed(m *Market, x *exchange, seller platforms.Seller) reply {
	policy := m.platform.Authorization
	value, err := m.issueCode(a, seller)
	if err != nil {
		return a.refused(m, x, deny(platforms.ServerError, err.Error()))
	}
	parameters := a.callback(m, x)
	parameters.Set(cmp.Or(policy.CodeParameter, "code"), value)
	if policy.SellerParameter != "" {
		parameters.Set(policy.SellerParameter, seller.ID)
	}
	if policy.CodeExpiry {
		parameters.Set("expires_in", seconds(m.lifetimes.Code))
	}
	return reply{location: a.redirect.accept, parameters: parameters}
}

// denied is the answer to his no.
func (a *authorizationRequest) denied(m *Market, x *exchange) reply {
	if m.platform.Authorization.RuNames {
		return reply{location: a.redirect.decline, parameters: url.Values{}}
	}
	return a.refused(m, x, deny(platforms.ConsentDenied, "the user denied access"))
}

// refused is the answer to a request that cannot be granted (RFC 6749 section 4.1.2.1).
func (a *authorizationRequest) refused(m *Market, x *exchange, d *denial) reply {
	x.outcome = d.outcome
	parameters := a.callback(m, x)
	parameters.Set("error", platforms.Plain(d.outcome).Code)
	parameters.Set("error_description", d.words)
	return reply{location: a.redirect.accept, parameters: parameters}
}

// callback are the parameters that every callback has.
func (a *authorizationRequest) callback(m *Market, x *exchange) url.Values {
	parameters := a.echo
	if a.state != "" {
		parameters.Set("state", a.state)
	}
	if m.platform.Authorization.IssuerParameter {
		parameters.Set("iss", x.issuer)
	}
	return parameters
}
