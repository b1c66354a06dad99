package demomarket

import (
	"time"
)

// DemoAccessTokenLifetime is how long access tokens live in a demonstration: long enough to look at, short enough to
// see one renewed.
const DemoAccessTokenLifetime = 90 * time.Second

// DemoRefreshToken is the refresh token that [Server.SeedDemo] registers at a platform.
func DemoRefreshToken(platform string) string { return "demo-refresh-token-" + platform }

// SeedDemo registers a refresh token that people can type, for the platform's seller, wherever refresh tokens are
// served.
func (s *Server) SeedDemo() {
	for _, name := range s.names {
		market := s.markets[name]
		if market.serves(GrantRefreshToken) {
			market.SeedRefreshToken(DemoRefreshToken(name), market.platform.Seller.ID)
		}
	}
}
