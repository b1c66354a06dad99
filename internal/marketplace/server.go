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

// chosenHosts is a digest of the values that authors of accounts put into hosts which get refresh tokens; empty where there are none.
func chosenHosts(spec *v1alpha1.MarketplaceSpec, names names) string {
	var chosen []string
	endpoints := &spec.Endpoints
	for _, name := range openParameters(spec.Parameters) {
		if slices.ContainsFunc([]v1alpha1.URLTemplate{endpoints.Issuer, endpoints.Token, endpoints.Refresh, endpoints.Revocation}, func(template v1alpha1.URLTemplate) bool {
			return strings.Contains(hostOf(string(template)), "{"+name+"}")
		}) {
			chosen = append(chosen, name+"="+strings.ToLower(names.addresses[name]))
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
		if endpoint == "" {
			endpoint = spec.Endpoints.Issuer // its document names this one
		}
		if slices.ContainsFunc(open, func(name string) bool { return strings.Contains(hostOf(string(endpoint)), "{"+name+"}") }) {
			p.CallbackKey = digest(originOf(p.AuthorizationURL), originOf(p.TokenURL), originOf(p.Issuer))
			return
		}
	}
}

// CheckSharedApplication tells whether the Marketplace's own application can be used: its secret must go to hosts alone that the Marketplace
// fixes or lists. The API server refuses others; the error is for a Marketplace that it stored before it did.
func CheckSharedApplication(object *v1alpha1.Marketplace) error {
	endpoints := &object.Spec.Endpoints
	for _, endpoint := range []struct {
		field    string
		template v1alpha1.URLTemplate
	}{
		{"issuer", endpoints.Issuer},
		{"authorization", endpoints.Authorization},
		{"deviceAuthorization", endpoints.DeviceAuthorization},
		{"token", endpoints.Token},
		{"refresh", endpoints.Refresh},
		{"revocation", endpoints.Revocation},
	} {
		for _, name := range openParameters(object.Spec.Parameters) {
			if strings.Contains(hostOf(string(endpoint.template)), "{"+name+"}") {
				return fmt.Errorf("Marketplace %q: spec.application: the host of spec.endpoints.%s has parameter %q, so that an account's author would choose "+
					"where the application's secret goes; list the values allowed in enum or choices of the parameter", object.Name, endpoint.field, name)
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

// originOf is the part of an address that names its server; empty for none.
func originOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parsed.Scheme + "://" + strings.ToLower(strings.TrimSuffix(parsed.Host, ":443"))
}

// digest stands for texts, in characters that a path takes as they are.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:keySize]))
}
