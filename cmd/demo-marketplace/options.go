package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/control"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/recorded"
	"github.com/tokenkeeper/tokenkeeper/test/marketplaces"
)

// options are the flags.
type options struct {
	address              string
	accessTokenLifetime  time.Duration
	refreshTokenLifetime time.Duration
	latency              time.Duration
	seedRefreshTokens    bool
	portalURL            string
	anyone               bool
	url                  string
	certFile, keyFile    string
	manifests            string
	version              bool
}

// parseOptions reads the flags and checks them.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo-marketplace", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.address, "address", "127.0.0.1:0",
		"`address` to listen on, which must be on loopback unless --anyone is given; port 0 takes a free one")
	flags.DurationVar(&o.accessTokenLifetime, "access-token-lifetime", demomarket.DemoAccessTokenLifetime,
		"`lifetime` of access tokens; 0 leaves each platform its own")
	flags.DurationVar(&o.refreshTokenLifetime, "refresh-token-lifetime", 0,
		"`lifetime` of refresh tokens; 0 leaves each platform its own")
	flags.DurationVar(&o.latency, "latency", 0, "`time` that every answer takes")
	flags.BoolVar(&o.seedRefreshTokens, "seed-refresh-tokens", true,
		"know the refresh tokens demo-refresh-token-allegro, -ebay, -amazon and -oidc")
	flags.StringVar(&o.portalURL, "portal-url", "",
		"`address` of tokenkeeper's portal, to whose callbacks, and from Amazon's store, people are sent; empty registers none")
	flags.BoolVar(&o.anyone, "anyone", false,
		"let everybody who reaches --address use it, who then knows every password and can change everything: for a test cluster")
	flags.StringVar(&o.url, "url", "", "`address` by which others know it, such as https://demo-marketplace.tokenkeeper-demo.svc; default the one it listens on")
	flags.StringVar(&o.certFile, "tls-cert-file", "", "`file` with the certificate, for HTTPS")
	flags.StringVar(&o.keyFile, "tls-key-file", "", "`file` with the key of the certificate")
	flags.StringVar(&o.manifests, "manifests", "",
		"print the Marketplaces of this `directory` with their addresses at --url, and do nothing else")
	flags.BoolVar(&o.version, "version", false, "print the version, the commit and its date, and do nothing else")
	if err := flags.Parse(args); err != nil {
		return options{}, fmt.Errorf("reading flags: %w", err)
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("reading flags: unexpected argument %q", flags.Arg(0))
	}
	return o, o.check()
}

// check tells why the options cannot be used; nil where they can.
func (o options) check() error {
	if err := checkLoopback(o.address); err != nil && !o.anyone {
		return fmt.Errorf("checking --address: %w; --anyone lets others in", err)
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return errors.New("checking flags: --tls-cert-file and --tls-key-file belong together")
	}
	if o.manifests != "" && o.url == "" {
		return errors.New("checking flags: --manifests needs --url, to which the addresses lead")
	}
	if err := checkAddress(o.url); err != nil {
		return fmt.Errorf("checking --url: %w", err)
	}
	if min(o.accessTokenLifetime, o.refreshTokenLifetime, o.latency) < 0 {
		return errors.New("checking flags: durations must not be negative")
	}
	if err := checkAddress(o.portalURL); err != nil {
		return fmt.Errorf("checking --portal-url: %w", err)
	}
	return nil
}

// checkAddress refuses an address that no browser could be sent to.
func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	if (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return fmt.Errorf("%q must be an address such as http://127.0.0.1:8080", address)
	}
	return nil
}

// checkLoopback refuses an address that other machines could reach: the passwords are known to everybody, and the control pages
// ask for none.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("splitting host and port: %w", err)
	}
	if ip := net.ParseIP(host); strings.EqualFold(host, "localhost") || ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%q must be a loopback address such as 127.0.0.1:8080, since everybody knows the passwords of a demo marketplace", address)
}

// market is the marketplace that the options describe.
func (o options) market() *demomarket.Server {
	market := demomarket.New(demomarket.Options{
		Latency: o.latency,
		Lifetimes: demomarket.Lifetimes{
			Access:  o.accessTokenLifetime,
			Refresh: o.refreshTokenLifetime,
		},
		SecretLog: -1, // nobody asks for them
		Control:   control.Pages,
	})
	if o.seedRefreshTokens {
		market.SeedDemo()
	}
	if o.portalURL != "" {
		market.SeedPortal(o.portalURL)
	}
	return market
}

// handler is the marketplace, and beside it the platforms that are known by their exchanges alone.
func (o options) handler(market *demomarket.Server) (http.Handler, error) {
	documented, err := recorded.New(recorded.Options{
		Exchanges: marketplaces.Exchanges,
		Except:    market.Names(),
		ClientID:  demomarket.DefaultClientID, ClientSecret: demomarket.DefaultClientSecret,
		Portal: o.portalURL,
		Now:    time.Now,
		Text:   rand.Text,
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if documented.Serves(r.URL.Path) {
			documented.ServeHTTP(w, r)
			return
		}
		market.ServeHTTP(w, r)
	}), nil
}
