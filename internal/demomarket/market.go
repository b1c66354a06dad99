package demomarket

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Market is one [Platform] as a [Server] runs it: its clients, sellers, users and tokens, its faults and its judge.
// It is safe for concurrent use.
type Market struct {
	platform Platform
	server   *Server
	routes   *http.ServeMux
	judge    *judge

	mu        sync.Mutex // guards what follows
	lifetimes Lifetimes
	// clockAhead is how far the Date of answers lies ahead.
	clockAhead time.Duration
	clients    map[string]*client
	sellers    map[string]Seller
	users      map[string]*user
	sessions   map[string]*session
	visits     map[string]*visit
	starts     map[tokenKey]*start
	codes      map[tokenKey]*code
	devices    deviceCodes
	refresh    *refreshTokens
	access     *accessTokens
	faults     []*Injected
	outage     outage
}

// newMarket returns a platform with the client, sellers and users that every demo starts with.
func newMarket(s *Server, platform Platform, options Options) *Market {
	m := &Market{
		platform: platform,
		server:   s,
		judge:    newJudge(options.RequestLog),
		lifetimes: options.Lifetimes.over(Lifetimes{
			Access:     platform.AccessToken.Lifetime,
			ID:         platform.IDToken.Lifetime,
			Refresh:    platform.RefreshToken.Lifetime,
			Code:       platform.Authorization.CodeLifetime,
			DeviceCode: platform.Device.Lifetime,
		}),
		clients:  map[string]*client{},
		sellers:  map[string]Seller{},
		users:    map[string]*user{},
		sessions: map[string]*session{},
		visits:   map[string]*visit{},
		starts:   map[tokenKey]*start{},
		codes:    map[tokenKey]*code{},
		devices:  newDeviceCodes(),
		refresh:  newRefreshTokens(platform.RefreshToken),
		access:   newAccessTokens(),
	}
	m.seed()
	m.routes = m.newRoutes()
	return m
}

// seed adds what every demo starts with.
func (m *Market) seed() {
	m.AddClient(DefaultClientID, DefaultClientSecret)
	if m.platform.Authorization.ClientParameter != "" {
		m.SetApplicationID(DefaultClientID, DefaultApplicationID)
	}
	m.AddSeller(m.platform.Seller)
	m.AddUser(DefaultUser, DefaultPassword, m.platform.Seller.ID)
	if m.platform.OtherSeller.ID != "" {
		m.AddSeller(m.platform.OtherSeller)
		m.AddUser(OtherUser, DefaultPassword, m.platform.OtherSeller.ID)
	}
}

// newRoutes mounts the endpoints that the platform has.
func (m *Market) newRoutes() *http.ServeMux {
	routes := http.NewServeMux()
	paths := m.platform.Paths
	for path, endpoint := range map[string]struct {
		name  Endpoint
		serve http.HandlerFunc
	}{
		paths.Authorization:       {AuthorizationEndpoint, m.serveAuthorization},
		paths.Store:               {StoreEndpoint, m.serveStore},
		paths.confirmations():     {ConfirmationEndpoint, m.serveConfirmation},
		paths.DeviceAuthorization: {DeviceAuthorizationEndpoint, m.serveDeviceAuthorization},
		paths.Device:              {DeviceEndpoint, m.serveDevice},
		paths.Token:               {TokenEndpoint, m.serveToken},
		paths.Revocation:          {RevocationEndpoint, m.serveRevocation},
		paths.Identity:            {IdentityEndpoint, m.serveIdentity},
		paths.Discovery:           {DiscoveryEndpoint, m.serveDiscovery},
		paths.Keys:                {KeysEndpoint, m.serveKeys},
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

// Name is the platform's name.
func (m *Market) Name() string { return m.platform.Name }

// Seller is the seller that exists from the start, whose user is [DefaultUser].
func (m *Market) Seller() Seller { return m.platform.Seller }

// OtherSeller is the second seller that exists from the start, whose user is [OtherUser].
func (m *Market) OtherSeller() Seller { return m.platform.OtherSeller }

// SetClockAhead has the Date of answers lie ahead of the time at which they are made, or behind where ahead is negative.
func (m *Market) SetClockAhead(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clockAhead = ahead
}

// date is the Date of an answer.
func (m *Market) date() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now().Add(m.clockAhead).UTC().Format(http.TimeFormat)
}

// serves tells whether the platform has a grant type.
func (m *Market) serves(grant string) bool {
	_, known := grantHandlers()[grant]
	return known && slices.Contains(m.platform.Grants, grant)
}

// SetLifetimes changes the lifetimes of tokens issued from now on. A zero value leaves what is there.
func (m *Market) SetLifetimes(lifetimes Lifetimes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lifetimes = lifetimes.over(m.lifetimes)
}

// currentLifetimes are those of a token issued now.
func (m *Market) currentLifetimes() Lifetimes {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lifetimes
}

// now is the server's clock.
func (m *Market) now() time.Time { return m.server.now() }

// address is the platform's address as the client of r knows it.
func (m *Market) address(r *http.Request) string { return m.server.baseURL(r) + "/" + m.platform.Name }

// issuer is the platform's name for itself in tokens and in discovery.
func (m *Market) issuer(r *http.Request) string { return m.address(r) + m.platform.IssuerSuffix }

// wait lets d pass, or less when the request ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
