package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// platformLatency is how long the marketplace takes for an answer.
const platformLatency = 100 * time.Millisecond

// host is a host on which marketplaces are.
type host struct {
	*demomarket.Server
	url    string
	server *httptest.Server
	// arrived is called with each request before it is answered; nil ignores them.
	arrived func(*http.Request)
}

// newHost starts a host under a name for loopback. Its Allegro signs with ES256, which takes a thirtieth of the time of
// RS256: what the marketplace computes, the operator cannot. Nothing is remembered of requests but their number.
func newHost(name string) *host {
	platforms := demomarket.Platforms()
	for i := range platforms {
		if platforms[i].Name == "allegro" {
			platforms[i].AccessToken.Signature = demomarket.ES256
		}
	}
	h := &host{Server: demomarket.New(demomarket.Options{Key: demomarket.SharedKey(), RequestLog: -1, SecretLog: -1}, platforms...)}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.arrived != nil {
			h.arrived(r)
		}
		h.ServeHTTP(w, r)
	}))
	h.url = strings.Replace(h.server.URL, "127.0.0.1", name, 1)
	return h
}

// allegro is the marketplace that nearly everything is measured with. Each of its renewals spends a refresh token, which
// costs the operator more than any other kind.
func (h *host) allegro() *demomarket.Market { return h.Platform("allegro") }

// answered is how many token requests the marketplace had.
func (h *host) answered() int { return h.allegro().Report().Count("", "") }

// mint makes a refresh token for an account of a seller of its own: two accounts of one seller would be reported as
// duplicates, each time one of them changes.
func (h *host) mint(account string) (refreshToken string) {
	refreshToken = refreshTokenOf(account)
	h.allegro().SeedRefreshToken(refreshToken, "seller-of-"+account)
	return refreshToken
}

// refreshTokenOf is the refresh token that an account begins with.
func refreshTokenOf(account string) string {
	return fmt.Sprintf("%s-%s", account, strings.Repeat("import", 8))
}
