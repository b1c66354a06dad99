package outgoing

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// proxyVariables name the proxy for requests by TLS; net/http takes the first that is set.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// proxySchemes are the schemes of proxies that net/http speaks with.
var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// CheckEnvironment tells whether the proxy that the environment names can be used. net/http would connect past one that it
// cannot read, and say nothing. The error does not repeat the value, which may hold a password.
func CheckEnvironment(getenv func(string) string) error {
	for _, name := range proxyVariables {
		value := getenv(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		proxy, err := url.Parse(value)
		if err != nil || proxy.Hostname() == "" || !slices.Contains(proxySchemes, proxy.Scheme) {
			return fmt.Errorf("the environment variable %s must be the address of a proxy, such as http://proxy.example.com:3128", name)
		}
		return nil
	}
	return nil
}
