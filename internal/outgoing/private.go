package outgoing

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// ErrPrivateAddress is why a request was not sent: its host is not on the public internet. It does not tell the host's
// addresses, which are not for every reader of the failure.
var ErrPrivateAddress = errors.New("the host has a private address, and the operator runs with --deny-private-addresses")

// NewPublicTransport returns a transport as NewTransport does that connects to public addresses alone. It looks at the
// address that is dialled, so that a name that changes its address between two look-ups gains nothing. Where a proxy is in
// between, the proxy looks names up: then only hosts that are addresses, or names of this machine, are refused here.
func NewPublicTransport() http.RoundTripper {
	direct := newTransport(&net.Dialer{Timeout: timeouts.Dial, Control: dialPublic})
	direct.Proxy = nil
	return publicOnly{direct: direct, proxied: NewTransport(), proxyOf: http.ProxyFromEnvironment}
}

type publicOnly struct {
	direct, proxied http.RoundTripper
	proxyOf         func(*http.Request) (*url.URL, error)
}

// RoundTrip implements http.RoundTripper.
func (p publicOnly) RoundTrip(request *http.Request) (*http.Response, error) {
	proxy, err := p.proxyOf(request)
	if err == nil && proxy == nil {
		return p.direct.RoundTrip(request)
	}
	if isPrivateHost(request.URL.Hostname()) {
		return nil, ErrPrivateAddress
	}
	return p.proxied.RoundTrip(request)
}

// dialPublic is called with each address before it is dialled.
func dialPublic(_, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(dialled.Addr()) {
		return ErrPrivateAddress
	}
	return nil
}

// isPrivateHost judges a host by its name: an address that is not public, in any spelling, or a name of this machine.
func isPrivateHost(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return !isPublic(address)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndex(host, ".")+1:]
	// Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses. No name ends in a number (RFC 3696 section 2).
	return last == "localhost" || last == "" || strings.ContainsAny(last[:1], "0123456789")
}

// isPublic tells whether an address is one of the public internet.
func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if wellKnownNAT64.Contains(address) { // how a cluster without IPv4 reaches the hosts that have nothing else
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	within := func(prefix netip.Prefix) bool { return prefix.Contains(address) }
	if address.Is4() {
		return !slices.ContainsFunc(notPublic4, within)
	}
	return globalUnicast.Contains(address) && !slices.ContainsFunc(notPublic6, within)
}

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	globalUnicast  = netip.MustParsePrefix("2000::/3")
	// notPublic4 and notPublic6 follow the IANA registries of special-purpose addresses.
	notPublic4 = prefixes(
		"0.0.0.0/8",        // this network: Linux takes 0.0.0.0 for this machine
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // shared by the customers of a carrier (RFC 6598); also Alibaba's metadata
		"127.0.0.0/8",      // this machine
		"168.63.129.16/32", // Azure's platform: it looks public
		"169.254.0.0/16",   // link-local: the metadata of most clouds
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocol assignments; also Oracle's metadata
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // former relays of 6to4
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved, and broadcast
	)
	notPublic6 = prefixes(
		"2001::/23",     // protocol assignments, among them Teredo, which holds an IPv4 address
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4, which holds an IPv4 address
		"3fff::/20",     // documentation
	)
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}
