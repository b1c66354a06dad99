package marketplace

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// hosts are those to which people may be sent in the name of a platform.
type hosts struct {
	// shared are hosts that a platform shares with others under one domain, such as those of its tenants: their subdomains belong to
	// them, and their neighbours do not.
	shared []string
	// alone are hosts that the Marketplace names, and domains their registered domains, with all that is below where nothing is shared.
	alone, domains []string
	// tenants are the registered domains of shared hosts.
	tenants []string
}

// LeadsTo tells whether an address belongs to the platform, as far as its Marketplace tells: it is of a host, or of the registered domain of
// a host, that the Marketplace names in its endpoints, its identity request, apiHosts or documentationURL. Platforms answer with addresses of
// people's pages that no field names, such as microsoft.com for login.microsoftonline.com.
func (p *Platform) LeadsTo(address string) bool {
	parsed, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := nameOf(parsed.Hostname())
	if host == "" {
		return false
	}
	if slices.ContainsFunc(p.hosts.shared, func(known string) bool { return host == known || strings.HasSuffix(host, "."+known) }) {
		return true
	}
	return slices.Contains(p.hosts.alone, host) || slices.Contains(p.hosts.domains, domainOf(host))
}

// Names tells whether an address in the platform's words may be shown: it leads to the platform, or to a host beside those that tenants share, as
// Salesforce's names for accounts do. Nobody is sent there.
func (p *Platform) Names(address string) bool {
	if p.LeadsTo(address) {
		return true
	}
	parsed, err := url.Parse(address)
	return err == nil && parsed.Hostname() != "" && slices.Contains(p.hosts.tenants, domainOf(nameOf(parsed.Hostname())))
}

// AccountIDOf is the identifier by which the platform knows an account. Of an address that is neither the platform's nor named, the account that the
// spec names, programs could make a link, so what makes it one is left out.
func (p *Platform) AccountIDOf(told, named string) string {
	if told == named || !bounds.IsAddress(told) || p.Names(told) {
		return told
	}
	return bounds.Plain(told)
}

// setHosts collects the hosts that the Marketplace names. A host of which a parameter is a part, as in {tenant}.example.com, is one of
// many that belong to different people.
func (p *Platform) setHosts(spec *v1alpha1.MarketplaceSpec) {
	add := func(template, filled string) {
		host := filled
		if strings.Contains(filled, "://") {
			host = hostOf(filled)
		}
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		switch host = nameOf(host); {
		case host == "" || strings.ContainsAny(host, "{}"):
		case isShared(spec, hostOf(template)):
			p.hosts.shared = append(p.hosts.shared, host)
			p.hosts.tenants = append(p.hosts.tenants, domainOf(host))
		default:
			p.hosts.alone = append(p.hosts.alone, host)
			p.hosts.domains = append(p.hosts.domains, domainOf(host))
		}
	}
	endpoints := spec.Endpoints
	add(string(endpoints.Issuer), p.Issuer)
	add(string(endpoints.Token), p.TokenURL)
	add(string(endpoints.Authorization), p.AuthorizationURL)
	add(string(endpoints.DeviceAuthorization), p.DeviceAuthorizationURL)
	if spec.Identity.Request != nil && p.identity != nil {
		add(string(spec.Identity.Request.URL), string(p.identity.URL))
	}
	for _, host := range p.apiHosts {
		add("", host)
	}
	add("", spec.DocumentationURL)
	p.hosts.domains = slices.DeleteFunc(p.hosts.domains, func(domain string) bool { return slices.Contains(p.hosts.tenants, domain) })
}

// isShared tells that authors of accounts choose a part of a host.
func isShared(spec *v1alpha1.MarketplaceSpec, host string) bool {
	return slices.ContainsFunc(openParameters(spec.Parameters), func(name string) bool {
		name = "{" + name + "}"
		return strings.Contains(host, name) && host != name
	})
}

// nameOf is a host as it is compared.
func nameOf(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// domainOf is the registered domain of a host; an address in numbers, and a host without one, stand for themselves.
func domainOf(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return domain
}
