package demomarket

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/faults"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/pages"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// Market is one [Platform] as a [Server] runs it: its clients, sellers, users and tokens, its faults and its judge.
// It is safe for concurrent use.
type Market struct {
	platform platforms.Platform
	server   *Server
	routes   *http.ServeMux
	judge    *judge.Judge

	mu        sync.Mutex // guards the fields below
	lifetimes Lifetimes
	// clockAhead is how far the Date of answers lies ahead.
	clockAhead time.Duration
	clients    map[string]*client
	sellers    map[string]platforms.Seller
	users      map[string]*user
	sessions   map[string]*session
	visits     map[string]*visit
	starts     map[tokens.Key]*start
	codes      map[tokens.Key]*code
	devices    tokens.DeviceCodes
	refresh    *tokens.RefreshTokens
	access     *tokens.AccessTokens
	faults     faults.Injector
	outage     outage
}

// Server hosts platforms, each below /<name>/ with the real platform's paths. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	latency time.Duration
	keys    *wire.Keys
	secrets *judge.Secrets
	load    judge.Gauge
	markets map[string]*Market
	names   []string
	control http.Handler // nil when not wanted

	mu   sync.Mutex // guards base and the reads of rand
	base string
	rand io.Reader
}

// client is a registered application. It has two secrets while one replaces the other, and an empty one when it is
// public (RFC 6749 section 2.1).
type client struct {
	id            string
	secrets       []string
	applicationID string // its name in authorization requests
	draft         bool
	redirects     []redirect // in the order of registration
	loginURI      string     // where the platform's store sends people; empty when it is not there
}

// public tells whether the application has no secret.
func (c *client) public() bool { return slices.Contains(c.secrets, "") }

// redirect is where an application has people sent back to. Plain OAuth names the address itself; eBay gives it a name.
type redirect struct {
	name            string // as redirect_uri has it
	accept, decline string // addresses
}

// user logs in with a password, on behalf of a seller.
type user struct {
	password string
	seller   string
	failures int
	locked   bool
	refused  platforms.Outcome // why a right password is not enough; empty when it is
}

// session is a browser that a person is logged in with. It does not end by itself, as sessions of real platforms hardly do.
type session struct {
	id       string
	seller   platforms.Seller
	consents map[string][]string // scopes, by client id
}

// start is a sign-in that began in the store. It stays in memory when it is used: that is how a second use is noticed.
type start struct {
	client  *client
	session *session
	expires time.Time
	used    bool
}

// code is an authorization code. It stays in memory when it is used: that is how a second use is noticed.
type code struct {
	request *authorizationRequest
	seller  platforms.Seller
	expires time.Time
	used    bool
	gift    gift
}

// outage is a fault of a whole platform. The market's lock guards it.
type outage struct {
	down  bool
	until time.Time // zero: until Up
	slow  time.Duration
}

// visit is a person's way through a platform's pages, from what an application sent him for to his answer. The market's
// lock guards it.
type visit struct {
	id       string
	endpoint platforms.Endpoint
	errand   errand
	clientID string
	scopes   []string
	prompts  []string
	userCode string // that brought the person here; empty without one
	expires  time.Time
	// login is the session that was begun during the visit, confirmed the one whose account was. Other tabs of the
	// browser may change its session meanwhile.
	login, confirmed *session
}

// errand is the reason for which an application sent a person. Its methods are called with the market's lock held.
type errand interface {
	allowed(m *Market, x *exchange, seller platforms.Seller) reply
	denied(m *Market, x *exchange) reply
}

// exchange is a request on its way through a market: its parts as they were read, and its outcome.
type exchange struct {
	endpoint   platforms.Endpoint
	time       time.Time
	request    *http.Request
	parameters map[string]string // of the body; of the query only when there is no body, or on pages
	unreadable *denial           // why the parameters could not be read as the platform wants them
	basic      *credentials      // nil without an Authorization: Basic header
	clientID   string            // set once the client is authenticated
	issuer     string

	strike faults.Strike // of the fault that it met

	outcome   platforms.Outcome // empty until a handler decided
	judgement tokens.Judgement
	pair      bool // a new refresh token is in force, and this answer alone holds it
	size      int  // of the answer that the handler wrote
	gone      bool // the client had left when the answer would have
	recorded  *judge.Request
}

// credentials are an id and secret from an Authorization header.
type credentials struct{ id, secret string }

// authorizationRequest is an application's request for a code (RFC 6749 section 4.1.1).
type authorizationRequest struct {
	client    *client
	redirect  redirect
	named     bool // it had a redirect_uri
	state     string
	asked     []string
	granted   []string
	prompts   []string
	challenge string
	nonce     string
	echo      url.Values
}

// gift holds the tokens that a code was exchanged for. The market's lock guards it. Nil remembers nothing.
type gift struct {
	family *tokens.Family
	access *tokens.AccessToken
	taken  bool // back
}

// reply is the answer of the pages to a browser: a way back to the application, JSON, or a page.
type reply struct {
	location   string // with what it was registered with
	parameters url.Values
	status     int
	document   map[string]any
	screen     pages.Screen
	session    string // for the cookie; empty leaves the one that is there
}
