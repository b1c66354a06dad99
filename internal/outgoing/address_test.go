package outgoing_test

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// TestWhereCredentialsAndPeopleMayGo holds the two rules side by side: they differ in the fragment alone, and in what
// people and browsers read otherwise.
func TestWhereCredentialsAndPeopleMayGo(t *testing.T) {
	tests := map[string]struct {
		address           string
		credentials, link bool
	}{
		"https":                            {"https://login.example.com/token", true, true},
		"https with a port":                {"https://login.example.com:8443/token", true, true},
		"http to this machine":             {"http://127.0.0.1:8080/token", true, true},
		"http to this machine by name":     {"http://localhost/token", true, true},
		"http to this machine by IPv6":     {"http://[::1]:8080/token", true, true},
		"http to others":                   {"http://login.example.com/token", false, false},
		"http to what begins so":           {"http://127.0.0.1.example.com/token", false, false},
		"http to a name that ends so":      {"http://not-localhost/token", false, false},
		"user information":                 {"https://user@login.example.com/", false, false},
		"this machine as user":             {"http://127.0.0.1@login.example.com/", false, false},
		"a fragment":                       {"https://login.example.com/device#enter", false, true},
		"an empty fragment":                {"https://login.example.com/device#", false, true},
		"a route in the fragment":          {"https://login.example.com/#/device?code=AB-CD", false, true},
		"no host":                          {"https:///token", false, false},
		"no scheme":                        {"login.example.com/token", false, false},
		"another scheme":                   {"javascript:alert(1)", false, false},
		"another scheme with a host":       {"javascript://login.example.com/%0aalert(1)", false, false},
		"nothing":                          {"", false, false},
		"a backslash":                      {`https://login.example.com\@evil.example.org/`, false, false},
		"a backslash in the fragment":      {`https://login.example.com/#\x`, false, false},
		"a line break":                     {"https://login.example.com/\nx", false, false},
		"a space":                          {"https://login.example.com/a b", true, false},
		"a character that writes leftward": {"https://login.example.com/\u202egro.elpmaxe", true, false},
		"longer than the API keeps":        {"https://login.example.com/" + strings.Repeat("x", 2048), true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := outgoing.CheckURL(test.address); (err == nil) != test.credentials {
				t.Errorf("credentials: %v, want allowed %v", err, test.credentials)
			}
			if err := outgoing.CheckLink(test.address); (err == nil) != test.link {
				t.Errorf("people: %v, want allowed %v", err, test.link)
			}
		})
	}
}

// TestCheckURL is for addresses that come from elsewhere, such as a discovery document.
func TestCheckURL(t *testing.T) {
	tests := map[string]string{
		"https://login.example.com/token?v=2": "",
		"https://[2001:db8::1]:8443/token":    "",
		"http://localhost:8080/token":         "",
		"http://127.0.0.1/token":              "",
		"http://[::1]/token":                  "",
		"":                                    `"" is no absolute URL`,
		"token":                               `"token" is no absolute URL`,
		"//login.example.com/token":           `"//login.example.com/token" must be https`,
		"mailto:me@example.com":               `"mailto:me@example.com" is no absolute URL`,
		"https://%zz/":                        `"https://%zz/" is no absolute URL`,
		"http://login.example.com/token":      `"http://login.example.com/token" must be https`,
		"http://127.0.0.2/token":              `"http://127.0.0.2/token" must be https`,
		"http://127.0.0.1.example.com/token":  `"http://127.0.0.1.example.com/token" must be https`,
		"file://localhost/etc/passwd":         `"file://localhost/etc/passwd" must be https`,
		"https://me@example.com/":             `"https://me@example.com/" must not hold user information or a fragment`,
		"https://example.com/#x":              `"https://example.com/#x" must not hold user information or a fragment`,
	}
	for address, want := range tests {
		t.Run(address, func(t *testing.T) {
			got := ""
			if err := outgoing.CheckURL(address); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("CheckURL says %q, want %q", got, want)
			}
		})
	}
}
