package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string // in the error; empty when there is none
	}{
		"none":                        {},
		"a port":                      {args: []string{"--address", "127.0.0.1:8080"}},
		"IPv6":                        {args: []string{"--address", "[::1]:0"}},
		"localhost":                   {args: []string{"--address", "localhost:0"}},
		"every address":               {args: []string{"--address", ":8080"}, want: "must be a loopback address"},
		"every address, written":      {args: []string{"--address", "0.0.0.0:8080"}, want: "must be a loopback address"},
		"another machine's":           {args: []string{"--address", "192.0.2.1:8080"}, want: "must be a loopback address"},
		"a name that may be anywhere": {args: []string{"--address", "example.com:8080"}, want: "must be a loopback address"},
		"everybody, on purpose":       {args: []string{"--address", ":8443", "--anyone"}},
		"a name of its own":           {args: []string{"--url", "https://demo.example"}},
		"a name that is no address":   {args: []string{"--url", "demo.example"}, want: "checking --url"},
		"a certificate without a key": {args: []string{"--tls-cert-file", "tls.crt"}, want: "belong together"},
		"manifests for no address":    {args: []string{"--manifests", "config/marketplaces"}, want: "--manifests needs --url"},
		"no port":                     {args: []string{"--address", "127.0.0.1"}, want: "missing port"},
		"a negative lifetime":         {args: []string{"--access-token-lifetime", "-1s"}, want: "must not be negative"},
		"no duration":                 {args: []string{"--latency", "slow"}, want: "invalid value"},
		"a portal":                    {args: []string{"--portal-url", "http://127.0.0.1:8081"}},
		"a portal without a scheme":   {args: []string{"--portal-url", "127.0.0.1:8081"}, want: "checking --portal-url"},
		"a portal with a query":       {args: []string{"--portal-url", "http://127.0.0.1:8081/?a=b"}, want: "must be an address"},
		"a portal elsewhere than web": {args: []string{"--portal-url", "ftp://127.0.0.1"}, want: "must be an address"},
		"an argument":                 {args: []string{"serve"}, want: "unexpected argument"},
		"no such flag":                {args: []string{"--port", "1"}, want: "not defined"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseOptions(test.args, io.Discard)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("err = %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	var usage strings.Builder
	if _, err := parseOptions([]string{"--help"}, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("err = %v, want %v", err, flag.ErrHelp)
	}
	if !strings.Contains(usage.String(), "-seed-refresh-tokens") {
		t.Errorf("usage is %s", usage.String())
	}
}

func TestVersionIsPrintedAndNothingServed(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--version"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "demo-marketplace ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("it printed %q, want one line with the version", out.String())
	}
}

func TestThePortalIsRegistered(t *testing.T) {
	o, err := parseOptions([]string{"--portal-url", "http://127.0.0.1:8081/"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	market := o.market()
	for platform, want := range map[string]string{
		"allegro": "http://127.0.0.1:8081/callback/allegro", "ebay": demomarket.DemoRuName, "xsale": "",
	} {
		if got := strings.Join(market.Platform(platform).RedirectURIs(demomarket.DefaultClientID), " "); got != want {
			t.Errorf("%s sends people back to %q, want %q", platform, got, want)
		}
	}
}

func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--access-token-lifetime", "30s"}, write, io.Discard) }()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}

	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {demomarket.DemoRefreshToken("amazon")},
		"client_id": {demomarket.DefaultClientID}, "client_secret": {demomarket.DefaultClientSecret},
	}
	r, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, strings.TrimSpace(line)+"/amazon/auth/o2/token", strings.NewReader(form.Encode()),
	)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"expires_in":30`) {
		t.Fatalf("answer is %d %s (%v)", response.StatusCode, body, err)
	}

	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestRunCannotListenOnAPortThatDoesNotExist(t *testing.T) {
	if err := run(t.Context(), []string{"--address", "127.0.0.1:70000"}, io.Discard, io.Discard); err == nil {
		t.Fatal("it listens")
	}
}
