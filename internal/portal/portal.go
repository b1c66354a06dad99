package portal

import (
	"context"
	"html/template"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// SignIns leads people through sign-ins. Its errors are *signin.Error; any other is an internal failure.
type SignIns interface {
	// Invite makes a ticket for a person with the right to sign the account in; grant AuthorizationCode only.
	Invite(ctx context.Context, account types.NamespacedName) (ticket string, err error)
	// Code is the device code that waits for a person with that right, where the status does not show it; grant DeviceCode only.
	Code(ctx context.Context, account types.NamespacedName) (signin.Code, error)
	// Offer describes the sign-in that a ticket is for, and changes nothing.
	Offer(ctx context.Context, account types.NamespacedName, ticket string) (signin.Offer, error)
	// Begin uses a ticket up. store is the query with which a marketplace's app store sent the person here; nil for
	// any other start.
	Begin(ctx context.Context, account types.NamespacedName, ticket string, store url.Values) (signin.Visit, error)
	// Complete takes the query with which the marketplace sent the browser back, to the callback of a name (signin.CallbackName). cookie returns the
	// value of one of the browser's cookies, empty when there is none. A browser that brings the same again is told the same.
	Complete(ctx context.Context, callback string, query url.Values, cookie func(name string) string) (signin.Outcome, error)
	// Decline takes a browser that a marketplace sent back with neither a state nor a code, as some marketplaces do after a
	// person has declined. visits are the values of the cookies of the browser's visits, the latest last. Its error is the
	// problem to show.
	Decline(ctx context.Context, callback string, visits []string) error
}

// Options are the clients and settings of the portal. All but Address, Organisation, Contact, ClusterDocument and TrustedProxies are
// required.
type Options struct {
	// Address is the portal's public address. Without one the list works, and a note names the setting that the cluster admin has
	// to make, instead of each button that needs the address.
	Address signin.Address
	// BindAddress is where Start listens, such as :8082.
	BindAddress string
	// Organisation is the name of the organisation that runs the portal, and Contact is where people may ask: an address of mail,
	// an https:// address, or any words. They stand below every page.
	Organisation, Contact string
	// SignIns leads people through sign-ins.
	SignIns SignIns
	// Reader reads MarketplaceAccounts and Marketplaces from a cache.
	Reader client.Reader
	// Writer creates TokenReviews and SubjectAccessReviews for visitors, and annotates accounts.
	Writer client.Client
	// ClusterDocument reads a document that the API server publishes about the tokens that it issues, by its path. Without it,
	// and where the API server does not tell, every token is reviewed.
	ClusterDocument func(ctx context.Context, path string) ([]byte, error)
	// TrustedProxies are the addresses of proxies that are believed when they tell a visitor's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Recorder emits events of accounts: the action that was asked for, and the user.
	Recorder events.EventRecorder
	// Clock tells the time.
	Clock clock.PassiveClock
	// Random is where the names of results come from.
	Random io.Reader
	// Log takes the names of accounts, and failures, and never a URL or a credential.
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
	recorder    events.EventRecorder
	clock       clock.PassiveClock
	random      io.Reader
	log         logr.Logger

	pages       map[string]*template.Template
	style       string
	speech      *words.Speech
	reception   *visitor.Reception
	outcomeWait time.Duration
	routes      http.Handler
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }
