package marketplace

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// keySize is the size of a callback key in bytes: enough that no host can be found with the key of another.
const keySize = 10

// Server is a digest of the addresses that a sign-in leads to, which tells one authorization server from another.
func (p *Platform) Server() string { return digest(p.AuthorizationURL, p.TokenURL, p.Issuer) }

// TokenServer is a digest of the server that tokens come from.
func (p *Platform) TokenServer() string { return digest(originOf(cmp.Or(p.TokenURL, p.Issuer))) }

// chosenHosts is a digest of the values by which authors of accounts choose hosts that get refresh tokens; empty where there are none.
func chosenHosts(spec *v1alpha1.MarketplaceSpec, names names) string {
	var chosen []string
	endpoints := &spec.Endpoints
	for _, name := range openParameters(spec.Parameters) {
		switch value := names.addresses[name]; {
		case slices.ContainsFunc([]v1alpha1.URLTemplate{endpoints.Issuer, endpoints.Token, endpoints.Refresh, endpoints.Revocation}, func(template v1alpha1.URLTemplate) bool {
			return inHost(template, name)
		}):
			chosen = append(chosen, name+"="+strings.ToLower(value))
		case inIssuer(endpoints, name):
			chosen = append(chosen, name+"="+value)
		}
	}
	if chosen == nil {
		return ""
	}
	slices.Sort(chosen)
	return digest(chosen...)
}

// setCallbackKey tells the account's authorization server from the other servers that its Marketplace leads to.
func (p *Platform) setCallbackKey(spec *v1alpha1.MarketplaceSpec) {
	open := openParameters(spec.Parameters)
	for _, endpoint := range []v1alpha1.URLTemplate{spec.Endpoints.Authorization, spec.Endpoints.Token} {
		discovered := endpoint == ""
		if discovered {
			endpoint = spec.Endpoints.Issuer // its document names this one
		}
		if slices.ContainsFunc(open, func(name string) bool { return inHost(endpoint, name) }) {
			p.CallbackKey = digest(originOf(p.AuthorizationURL), originOf(p.TokenURL), originOf(p.Issuer))
			return
		}
		if discovered && slices.ContainsFunc(open, func(name string) bool { return inIssuer(&spec.Endpoints, name) }) {
			p.CallbackKey = digest(originOf(p.AuthorizationURL), originOf(p.TokenURL), p.Issuer)
			return
		}
	}
}

// inHost tells whether a parameter is a part of the host of an endpoint.
func inHost(endpoint v1alpha1.URLTemplate, name string) bool {
	return strings.Contains(hostOf(string(endpoint)), "{"+name+"}")
}

// inIssuer tells whether a parameter is any part of the issuer: each issuer of a host has a document of its own, which names whatever hosts it likes.
func inIssuer(endpoints *v1alpha1.Endpoints, name string) bool {
	return strings.Contains(string(endpoints.Issuer), "{"+name+"}")
}

// CheckSharedApplication tells whether the Marketplace's own application can be used: its secret must go to hosts alone that the Marketplace
// fixes or lists. The API server refuses others; the error is for a Marketplace that it stored before it did.
func CheckSharedApplication(object *v1alpha1.Marketplace) error {
	endpoints := &object.Spec.Endpoints
	for _, name := range openParameters(object.Spec.Parameters) {
		refused := func(place string) error {
			return fmt.Errorf("Marketplace %q: spec.application: %s has parameter %q, so that an account's author would choose "+
				"where the application's secret goes; list the values allowed in enum or choices of the parameter", object.Name, place, name)
		}
		if inIssuer(endpoints, name) {
			return refused("spec.endpoints.issuer")
		}
		for _, endpoint := range []struct {
			field    string
			template v1alpha1.URLTemplate
		}{
			{"authorization", endpoints.Authorization},
			{"deviceAuthorization", endpoints.DeviceAuthorization},
			{"token", endpoints.Token},
			{"refresh", endpoints.Refresh},
			{"revocation", endpoints.Revocation},
		} {
			if inHost(endpoint.template, name) {
				return refused("the host of spec.endpoints." + endpoint.field)
			}
		}
	}
	return nil
}

// openParameters are the parameters without a list of values in the Marketplace, so that the authors of accounts choose them.
func openParameters(declared []v1alpha1.ParameterDeclaration) []string {
	var names []string
	for _, parameter := range declared {
		if len(parameter.Enum) == 0 && len(parameter.Choices) == 0 {
			names = append(names, parameter.Name)
		}
	}
	return names
}

// hostOf is the host of a template, in which a {name} may stand.
func hostOf(template string) string {
	_, rest, _ := strings.Cut(template, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// originOf is the part of an address that names its server; empty where it cannot be read.
func originOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parsed.Scheme + "://" + serverOf(parsed)
}

// serverOf is the host of an address with its port, as servers are compared.
func serverOf(address *url.URL) string {
	return strings.ToLower(strings.TrimSuffix(address.Host, ":443"))
}

// digest stands for texts, in characters that a path takes as they are.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:keySize]))
}
