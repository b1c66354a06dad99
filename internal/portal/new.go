package portal

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// New returns a portal.
func New(options Options) (*Portal, error) {
	if options.SignIns == nil || options.Reader == nil || options.Writer == nil || options.Recorder == nil || options.Clock == nil ||
		options.Random == nil {
		return nil, errors.New("the portal needs SignIns, Reader, Writer, Recorder, Clock and Random")
	}
	p := &Portal{
		address:     options.Address,
		bindAddress: options.BindAddress,
		host:        hostOf(options.Organisation, options.Contact),
		signIns:     options.SignIns,
		reader:      options.Reader,
		writer:      options.Writer,
		recorder:    options.Recorder,
		clock:       options.Clock,
		random:      options.Random,
		log:         options.Log,
		outcomeWait: timeouts.Outcome,
		reception: visitor.New(visitor.Options{
			Kube: options.Writer, ClusterDocument: options.ClusterDocument, TrustedProxies: options.TrustedProxies,
			Clock: options.Clock, Log: options.Log,
		}),
	}
	if err := checkAddress(options.Address); err != nil {
		return nil, err
	}
	var err error
	if p.speech, err = words.NewSpeech(); err != nil {
		return nil, err
	}
	if p.pages, p.style, err = parsePages(); err != nil {
		return nil, err
	}
	p.routes = p.guard(p.mux())
	return p, nil
}

// checkAddress refuses an address at which no sign-in could succeed: browsers keep the cookies of a visit for https alone, and
// for the machine that they run on.
func checkAddress(address signin.Address) error {
	if address == "" {
		return nil
	}
	parsed, err := url.Parse(string(address))
	switch {
	case err != nil, !address.IsOrigin(), parsed.Scheme != "https" && parsed.Scheme != "http":
		return fmt.Errorf("the portal's address %q must be an origin, such as https://tokens.example.com", address)
	case parsed.Scheme == "http" && !loopback(parsed.Hostname()):
		return fmt.Errorf("the portal's address %q must begin with https://, else browsers do not keep its cookies", address)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// mux leads each path to its page.
func (p *Portal) mux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/{$}", p.page(p.list, nil))
	mux.Handle(enterPath, p.page(nil, p.enter))
	mux.Handle(leavePath, p.page(nil, p.leave))
	mux.Handle("/accounts/{namespace}/{name}/{action}", p.page(nil, p.act))
	mux.Handle(signin.LinkPrefix+"{namespace}/{name}", p.page(p.offer, p.begin))
	mux.Handle(signin.LinkPrefix+"{marketplace}", p.page(p.store, p.choose))
	mux.Handle(signin.CallbackPrefix+"{marketplace}", p.page(notHead(p.callback), nil))
	mux.Handle(signin.CallbackPrefix+"{marketplace}/{key}", p.page(notHead(p.callback), nil))
	mux.Handle(donePath+"{id}", p.page(notHead(p.done), nil))
	mux.Handle("/healthz", p.page(alive, nil))
	mux.Handle("/readyz", p.page(alive, nil))
	mux.Handle("/", p.page(nowhere, nowhere))
	return mux
}
