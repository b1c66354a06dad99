package outgoing

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func TestWhichAddressesArePublic(t *testing.T) {
	tests := map[string]bool{
		"93.184.215.14": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2606:2800:21f:cb07::1": true,
		"64:ff9b::1.1.1.1": true, "::ffff:1.1.1.1": true,

		"127.0.0.1": false, "127.8.8.8": false, "0.0.0.0": false, "::1": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.170.2": false, "168.63.129.16": false, "100.100.100.200": false, "192.0.0.192": false,
		"100.64.0.1": false, "100.127.255.255": false, "198.18.0.1": false, "192.0.2.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::10.0.0.1": false, "::ffff:0:10.0.0.1": false,
		"64:ff9b::10.0.0.1": false, "64:ff9b::169.254.169.254": false, "64:ff9b:1::10.0.0.1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "fec0::1": false, "ff02::1": false,
		"2002:a00:1::1": false, "2001:0:a00:1::1": false, "2001:db8::1": false, "3fff::1": false, "100::1": false, "5f00::1": false,
	}
	for text, want := range tests {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public is %v, want %v", text, got, want)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is a public one")
	}
}

// TestTheAddressThatIsDialledCounts looks a public name up that has a private address, as it has after a rebinding.
func TestTheAddressThatIsDialledCounts(t *testing.T) {
	for _, dialled := range []string{"10.0.0.1:443", "[::1]:443", "[::ffff:169.254.169.254]:80", "[fe80::1%lo]:443", "nonsense"} {
		if err := dialPublic("tcp", dialled, nil); !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%s is dialled: %v", dialled, err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	transport := NewPublicTransport().(publicOnly)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1"} {
		client := NewClient(transport, time.Minute)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Do(request)
		if !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%s is dialled: %v", host, err)
		}
	}
}

// TestAProxyIsDialledWhereverItIs since the admin named it, and it is asked for nothing that is private by its name.
func TestAProxyIsDialledWhereverItIs(t *testing.T) {
	var asked []string
	transport := publicOnly{
		direct:  failing{errors.New("dialled past the proxy")},
		proxied: counting{&asked},
		proxyOf: func(*http.Request) (*url.URL, error) { return url.Parse("http://10.0.0.3:3128") },
	}
	for host, want := range map[string]bool{
		"login.example.com": true, "1.1.1.1": true, "[2606:2800:21f:cb07::1]": true,
		"10.0.0.1": false, "[::ffff:10.0.0.1]": false, "127.1": false, "0x7f.1": false, "2130706433": false, "0177.0.0.1": false,
		"localhost": false, "LOCALHOST": false, "a.localhost": false, "localhost.": false, "10.0.0.1.": false,
	} {
		asked = nil
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+host+"/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = transport.RoundTrip(request)
		if got := len(asked) > 0; got != want || !want && !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%s: asked by the proxy %v with error %v, want %v", host, got, err, want)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

type counting struct{ asked *[]string }

func (c counting) RoundTrip(request *http.Request) (*http.Response, error) {
	*c.asked = append(*c.asked, request.URL.Host)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}
