package visitor

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addressOf is the network that a request comes from, by the address of the connection, or by the one that a trusted proxy tells.
// An IPv6 visitor has 2^64 addresses, so their whole /64 network counts as one; an IPv4 address stands for itself.
func addressOf(r *http.Request, trustedProxies []netip.Prefix) netip.Prefix {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // one allowance for all that cannot be told apart
	}
	address := remote.Addr().Unmap().WithZone("")
	// Each proxy adds the address of its own client at the end. Read from the end, entries beyond the first address that is not
	// trusted may be made up.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !contains(trustedProxies, address) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(address) })
}
