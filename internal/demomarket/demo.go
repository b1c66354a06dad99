package demomarket

import (
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// DemoAccessTokenLifetime is how long access tokens live in a demonstration: long enough to look at, short enough to
// see one renewed.
const DemoAccessTokenLifetime = 90 * time.Second

// DemoRefreshToken is the refresh token that [Server.SeedDemo] registers at a platform.
func DemoRefreshToken(platform string) string { return "demo-refresh-token-" + platform }

// DemoRuName is the redirect_uri that [Server.SeedPortal] registers at eBay.
const DemoRuName = "Demo_Shop-DemoShop-Portal-demo"

// SeedPortal lets people be sent back to a portal at this address, <portal>/callback/<platform>, by the application
// [DefaultClientID] of every platform. At eBay that is DemoRuName, whose decline URL says error=access_denied, since
// eBay adds nothing to it. Who begins in Amazon's store is sent to <portal>/sign-in/amazon.
func (s *Server) SeedPortal(portalURL string) {
	for _, name := range s.names {
		market, portal := s.markets[name], strings.TrimSuffix(portalURL, "/")
		callback := portal + "/callback/" + name
		if market.platform.Paths.Store != "" {
			market.SetLoginURI(DefaultClientID, portal+"/sign-in/"+name)
		}
		switch {
		case market.platform.Paths.Authorization == "":
		case market.platform.Authorization.RuNames:
			market.AddRuName(DefaultClientID, DemoRuName, callback, callback+"?error=access_denied")
		default:
			market.AddRedirectURI(DefaultClientID, callback)
		}
	}
}

// SeedDemo registers a refresh token that people can type, for the platform's seller, wherever refresh tokens are
// served.
func (s *Server) SeedDemo() {
	for _, name := range s.names {
		market := s.markets[name]
		if market.serves(platforms.GrantRefreshToken) {
			market.SeedRefreshToken(DemoRefreshToken(name), market.platform.Seller.ID)
		}
	}
}
