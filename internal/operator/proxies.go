package operator

import (
	"fmt"
	"net/netip"
	"strings"
)

// networks is a flag that takes addresses and networks.
type networks []netip.Prefix

// String implements flag.Value.
func (n *networks) String() string {
	var names []string
	for _, network := range *n {
		names = append(names, network.String())
	}
	return strings.Join(names, ",")
}

// Set implements flag.Value.
func (n *networks) Set(text string) error {
	*n = nil
	for _, name := range strings.FieldsFunc(text, func(char rune) bool { return char == ',' || char == ' ' }) {
		network, err := netip.ParsePrefix(name)
		if address, isAddress := netip.ParseAddr(name); isAddress == nil {
			address = address.Unmap()
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is neither an address, such as 10.0.0.7, nor a network, such as 10.0.0.0/8", name)
		}
		*n = append(*n, network.Masked())
	}
	return nil
}
