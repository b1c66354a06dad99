package demomarket_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// BenchmarkRefresh is what one renewal costs the marketplace itself, which has to be little beside what it measures.
func BenchmarkRefresh(b *testing.B) {
	cheap := demomarket.Allegro()
	cheap.Name = "allegro-es256"
	cheap.AccessToken.Signature = demomarket.ES256
	server := demomarket.New(
		demomarket.Options{Key: demomarket.SharedKey(), RequestLog: -1, SecretLog: -1},
		demomarket.Allegro(), cheap, demomarket.EBay(),
	)
	for name, path := range map[string]string{
		"allegro":       "/auth/oauth/token",
		"allegro-es256": "/auth/oauth/token",
		"ebay":          "/identity/v1/oauth2/token",
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				token := fmt.Sprintf("%s-%d-%d", name, b.N, i)
				server.Platform(name).SeedRefreshToken(token, "1")
				r := httptest.NewRequest(http.MethodPost, "/"+name+path, strings.NewReader("grant_type=refresh_token&refresh_token="+token))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
				w := httptest.NewRecorder()
				server.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Body.String())
				}
			}
		})
	}
}
