package demomarket

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// New returns a server of the given platforms, or of [Platforms] when none is given. Of two platforms with one name
// the later counts.
func New(options Options, served ...platforms.Platform) *Server {
	if len(served) == 0 {
		served = Platforms()
	}
	s := &Server{
		now:     options.Now,
		rand:    options.Rand,
		latency: options.Latency,
		base:    strings.TrimSuffix(options.BaseURL, "/"),
		keys:    wire.NewKeys(options.Key),
		secrets: judge.NewSecrets(options.SecretLog),
		markets: make(map[string]*Market, len(served)),
	}
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // the default of a program that is given no clock
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	for _, platform := range served {
		s.markets[platform.Name] = newMarket(s, platform, options)
		if !slices.Contains(s.names, platform.Name) {
			s.names = append(s.names, platform.Name)
		}
	}
	if options.Control != nil {
		s.control = options.Control(s)
	}
	return s
}

// newMarket returns a platform with the client, sellers and users that every demo starts with.
func newMarket(s *Server, platform platforms.Platform, options Options) *Market {
	m := &Market{
		platform: platform,
		server:   s,
		judge:    judge.New(options.RequestLog),
		lifetimes: options.Lifetimes.over(Lifetimes{
			Access:     platform.AccessToken.Lifetime,
			ID:         platform.IDToken.Lifetime,
			Refresh:    platform.RefreshToken.Lifetime,
			Code:       platform.Authorization.CodeLifetime,
			DeviceCode: platform.Device.Lifetime,
		}),
		clients:  map[string]*client{},
		sellers:  map[string]platforms.Seller{},
		users:    map[string]*user{},
		sessions: map[string]*session{},
		visits:   map[string]*visit{},
		starts:   map[tokens.Key]*start{},
		codes:    map[tokens.Key]*code{},
		devices:  tokens.NewDeviceCodes(),
		refresh:  tokens.NewRefreshTokens(platform.RefreshToken),
		access:   tokens.NewAccessTokens(),
	}
	m.seed()
	m.routes = m.newRoutes()
	return m
}

// seed adds the application, sellers and users that every demo starts with.
func (m *Market) seed() {
	m.AddClient(DefaultClientID, DefaultClientSecret)
	if m.platform.Authorization.ClientParameter != "" {
		m.SetApplicationID(DefaultClientID, DefaultApplicationID)
	}
	m.AddSeller(m.platform.Seller)
	m.AddUser(platforms.DefaultUser, DefaultPassword, m.platform.Seller.ID)
	if m.platform.OtherSeller.ID != "" {
		m.AddSeller(m.platform.OtherSeller)
		m.AddUser(platforms.OtherUser, DefaultPassword, m.platform.OtherSeller.ID)
	}
}

// newRoutes mounts the endpoints that the platform has.
func (m *Market) newRoutes() *http.ServeMux {
	routes := http.NewServeMux()
	paths := m.platform.Paths
	for path, endpoint := range map[string]struct {
		name  platforms.Endpoint
		serve http.HandlerFunc
	}{
		paths.Authorization:       {platforms.AuthorizationEndpoint, m.serveAuthorization},
		paths.Store:               {platforms.StoreEndpoint, m.serveStore},
		confirmations(paths):      {platforms.ConfirmationEndpoint, m.serveConfirmation},
		paths.DeviceAuthorization: {platforms.DeviceAuthorizationEndpoint, m.serveDeviceAuthorization},
		paths.Device:              {platforms.DeviceEndpoint, m.serveDevice},
		paths.Token:               {platforms.TokenEndpoint, m.serveToken},
		paths.Revocation:          {platforms.RevocationEndpoint, m.serveRevocation},
		paths.Identity:            {platforms.IdentityEndpoint, m.serveIdentity},
		paths.Discovery:           {platforms.DiscoveryEndpoint, m.serveDiscovery},
		paths.Keys:                {platforms.KeysEndpoint, m.serveKeys},
	} {
		if path != "" {
			routes.Handle("/"+m.platform.Name+exactly(path), m.observed(endpoint.name, endpoint.serve))
		}
	}
	return routes
}

// exactly is a pattern for this path and nothing below it.
func exactly(path string) string {
	if path[len(path)-1] == '/' {
		return path + "{$}"
	}
	return path
}

// Platforms returns the five platforms with the lifetimes they have in reality.
func Platforms() []platforms.Platform {
	return []platforms.Platform{platforms.Allegro(), platforms.EBay(), platforms.Amazon(), platforms.XSale(), platforms.OIDC()}
}

// Platform returns the running platform of that name, nil when the server has none.
func (s *Server) Platform(name string) *Market { return s.markets[name] }

// Names returns the names of the platforms in the order in which they were given.
func (s *Server) Names() []string { return slices.Clone(s.names) }

// controlName is the first segment of the path of the control pages. No platform may have it.
const controlName = "_demo"

// ServeHTTP hands the request to the platform that its path begins with.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if s.control != nil && name == controlName {
		s.control.ServeHTTP(w, r)
		return
	}
	market := s.markets[name]
	if market == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Date", market.date()) // the market's clock, which tests step
	market.routes.ServeHTTP(w, r)
}
