package portal

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// SignIns leads people through sign-ins. Its errors are *signin.Error; any other is an internal failure.
type SignIns interface {
	// Invite makes a ticket for somebody who may sign the account in; grant AuthorizationCode only.
	Invite(ctx context.Context, account types.NamespacedName) (ticket string, err error)
	// Offer tells what a ticket is for and changes nothing.
	Offer(ctx context.Context, account types.NamespacedName, ticket string) (signin.Offer, error)
	// Begin uses a ticket up. store is the query with which a marketplace's app store sent the person here; nil for
	// any other start.
	Begin(ctx context.Context, account types.NamespacedName, ticket string, store url.Values) (signin.Visit, error)
	// Complete takes what the marketplace sent the browser back with, to the callback of a name (signin.CallbackName). cookie returns the value of one of the
	// browser's cookies, empty when there is none.
	// A browser that brings the same again is told the same.
	Complete(ctx context.Context, callback string, query url.Values, cookie func(name string) string) (signin.Outcome, error)
	// Decline takes a browser that a marketplace sent back with neither a state nor a code, which some do with people who
	// decline. visits are the values of the cookies of the browser's visits, the latest last. Its error is what to tell.
	Decline(ctx context.Context, callback string, visits []string) error
}

// Options are what the portal takes from outside. All but Address, Organisation, Contact, ClusterDocument and TrustedProxies are required.
type Options struct {
	// Address is the portal's public address. Without one the list works, and the buttons that need the address
	// say what the cluster admin has to set.
	Address signin.Address
	// BindAddress is where Start listens, such as :8082.
	BindAddress string
	// Organisation is who runs the portal, and Contact whom people may ask: an address of mail, an https:// address, or any words. They
	// stand below every page.
	Organisation, Contact string
	// SignIns leads people through sign-ins.
	SignIns SignIns
	// Reader reads MarketplaceAccounts and Marketplaces from a cache.
	Reader client.Reader
	// Writer asks the API server who a visitor is and what they may do, and annotates accounts.
	Writer client.Client
	// ClusterDocument reads what the API server publishes about the tokens that it issues, by its path. Without it, and where
	// the API server does not tell, every token is reviewed.
	ClusterDocument func(ctx context.Context, path string) ([]byte, error)
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Clock tells the time.
	Clock clock.PassiveClock
	// Random is where the names of results come from.
	Random io.Reader
	// Log takes the names of accounts and what went wrong, and never a URL or a credential.
	Log logr.Logger
}

// Portal serves the sign-in pages. It is safe for concurrent use.
type Portal struct {
	address     signin.Address
	bindAddress string
	host        host
	signIns     SignIns
	reader      client.Reader
	writer      client.Client
	clock       clock.PassiveClock
	random      io.Reader
	log         logr.Logger

	pages  map[string]*template.Template
	style  string
	speech *speech
	access *access
	// keys tells which tokens the cluster has signed, of which subjects limits those that it does not honour any more. tokens and
	// links limit other wrong ones; doubtful is for tokens beyond that.
	keys           *clusterKeys
	subjects       *limiter[string]
	tokens, links  *limiter[netip.Prefix]
	doubtful       *slowLane
	trustedProxies []netip.Prefix
	lists          *room
	outcomeWait    time.Duration
	reviews        reviews
	routes         http.Handler
}

// New returns a portal.
func New(options Options) (*Portal, error) {
	if options.SignIns == nil || options.Reader == nil || options.Writer == nil || options.Clock == nil || options.Random == nil {
		return nil, errors.New("the portal needs SignIns, Reader, Writer, Clock and Random")
	}
	p := &Portal{
		address:     options.Address,
		bindAddress: options.BindAddress,
		host:        hostOf(options.Organisation, options.Contact),
		signIns:     options.SignIns,
		reader:      options.Reader,
		writer:      options.Writer,
		clock:       options.Clock,
		random:      options.Random,
		log:         options.Log,
		speech:      newSpeech(),
		access:      newAccess(options.Writer, options.Clock),
		keys:        &clusterKeys{read: options.ClusterDocument, clock: options.Clock, log: options.Log},
		subjects:    newLimiter[string](options.Clock, tokenFailures, maxSubjects),
		tokens:      newLimiter[netip.Prefix](options.Clock, tokenFailures, maxAddresses),
		links:       newLimiter[netip.Prefix](options.Clock, linkFailures, maxAddresses),

		trustedProxies: options.TrustedProxies,
		doubtful:       newSlowLane(options.Clock),
		outcomeWait:    outcomeWait,
		lists:          &room{places: make(chan struct{}, maxLists), patience: listWait},
		reviews:        reviews{good: newRecent[tokenKey, *review](maxReviews)},
	}
	if err := checkAddress(options.Address); err != nil {
		return nil, err
	}
	var err error
	if p.pages, p.style, err = parsePages(); err != nil {
		return nil, err
	}
	p.routes = p.guard(p.mux())
	return p, nil
}

// checkAddress refuses an address at which nobody could sign in: browsers keep the cookies of a visit for https alone,
// and for the machine that they run on.
func checkAddress(address signin.Address) error {
	if address == "" {
		return nil
	}
	parsed, err := url.Parse(string(address))
	switch {
	case err != nil, parsed.Host == "", parsed.Scheme != "https" && parsed.Scheme != "http",
		string(address) != parsed.Scheme+"://"+parsed.Host:
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

// mux knows the pages.
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

// handler answers a request, or returns why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

// page answers GET, which is also HEAD, and POST; a nil handler is not there.
func (p *Portal) page(get, post handler) http.Handler {
	var allowed []string
	if get != nil {
		allowed = append(allowed, http.MethodGet, http.MethodHead)
	}
	if post != nil {
		allowed = append(allowed, http.MethodPost)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeouts.Page)
		defer cancel()
		r = r.WithContext(ctx)
		var answer handler
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			answer = get
		case http.MethodPost:
			answer = post
		}
		var err error
		if answer == nil {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			err = &signin.Error{Problem: problemMethod}
		} else {
			err = answer(w, r)
		}
		if err != nil {
			p.fail(w, r, err)
		}
	})
}

// notHead keeps what is shown or used once for the browser that looks at it.
func notHead(get handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodHead {
			w.Header().Set("Allow", http.MethodGet)
			return &signin.Error{Problem: problemMethod}
		}
		return get(w, r)
	}
}

// alive answers probes.
func alive(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}

func nowhere(http.ResponseWriter, *http.Request) error {
	return &signin.Error{Problem: problemNotFound}
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }
