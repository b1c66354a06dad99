package demomarket_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestReport(t *testing.T) {
	d := serve(t)
	d.Platform("oidc").SeedRefreshToken("seeded", "1")
	d.Platform("ebay").SeedRefreshToken("seeded", "1")
	d.refresh("oidc", "seeded")
	d.refresh("oidc", "seeded")
	d.refresh("ebay", "seeded")
	d.refresh("ebay", "unknown")
	d.login("wrong")
	d.must(d.request("ebay", map[string]string{"grant_type": "client_credentials"}))
	d.must(d.request("ebay", map[string]string{"grant_type": "made-up"}))
	d.get("/oidc/jwks")

	report := d.Report()
	wantEqual(t, "all token requests", report.Total.Count("", ""), 7)
	wantEqual(t, "answered with tokens", report.Total.Count("", demomarket.OK), 3)
	wantEqual(t, "refreshes", report.Total.Count(demomarket.GrantRefreshToken, ""), 4)
	wantEqual(t, "dead refreshes", report.Total.Count(demomarket.GrantRefreshToken, demomarket.InvalidGrant), 2)
	wantEqual(t, "unknown grants", report.Total.Count("other", demomarket.UnsupportedGrant), 1)
	wantEqual(t, "eBay's", report.Platforms["ebay"].Count("", ""), 4)
	wantEqual(t, "double spends", report.Total.DoubleSpends, 1)
	wantEqual(t, "eBay's double spends", report.Platforms["ebay"].DoubleSpends, 0)
	wantEqual(t, "live families", report.Total.LiveFamilies, 1)
	wantEqual(t, "key requests", report.Total.Requests[demomarket.KeysEndpoint], 1)
	wantEqual(t, "token requests", report.Total.Requests[demomarket.TokenEndpoint], 7)
	wantEqual(t, "peak", report.Total.PeakConcurrency, 1)

	d.ResetReport()
	report = d.Report()
	wantEqual(t, "token requests after a reset", report.Total.Count("", ""), 0)
	wantEqual(t, "live families after a reset", report.Total.LiveFamilies, 1)
}

func TestRequests(t *testing.T) {
	d := serve(t)
	d.Platform("allegro").SeedRefreshToken("seeded", "1")
	r := d.refreshRequest("allegro", "seeded")
	r.Header.Set("User-Agent", "tokenkeeper/test")
	d.must(r)
	d.refresh("allegro", "seeded")
	d.login(demomarket.DefaultPassword)

	requests := d.Platform("allegro").Requests()
	wantEqual(t, "requests", len(requests), 2)
	got := requests[0]
	wantEqual(t, "platform", got.Platform, "allegro")
	wantEqual(t, "time", got.Time, start)
	wantEqual(t, "grant", got.Grant, demomarket.GrantRefreshToken)
	wantEqual(t, "parameter", got.Parameters["refresh_token"], "seeded")
	wantEqual(t, "header", got.Header.Get("User-Agent"), "tokenkeeper/test")
	wantEqual(t, "content type", got.ContentType, "application/x-www-form-urlencoded")
	wantEqual(t, "Basic", got.Basic, true)
	wantEqual(t, "client", got.ClientID, demomarket.DefaultClientID)
	wantEqual(t, "outcome", got.Outcome, demomarket.OK)
	wantEqual(t, "grace reuse", got.GraceReuse, false)
	wantEqual(t, "grace reuse", requests[1].GraceReuse, true)

	login := d.Platform("xsale").Requests()[0]
	wantEqual(t, "content type", login.ContentType, "application/json")
	wantEqual(t, "Basic", login.Basic, false)
	wantEqual(t, "audience", login.Parameters["audience"], "https://api.xsale.ai")
}

func TestTheRequestLogIsBounded(t *testing.T) {
	tests := map[string]struct {
		size int
		want string
	}{
		"three": {size: 3, want: "token-2 token-3 token-4"},
		"none":  {size: -1, want: ""},
		"all":   {size: 0, want: "token-0 token-1 token-2 token-3 token-4"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveWith(t, demomarket.Options{RequestLog: test.size}, demomarket.EBay())
			for i := range 5 {
				d.refresh("ebay", fmt.Sprintf("token-%d", i))
			}
			var got []string
			for _, request := range d.Platform("ebay").Requests() {
				got = append(got, request.Parameters["refresh_token"])
			}
			wantEqual(t, "remembered", strings.Join(got, " "), test.want)
			wantEqual(t, "counted", d.Report().Total.Count("", ""), 5)
		})
	}
}

func TestSecrets(t *testing.T) {
	d := serve(t)
	d.Platform("oidc").SeedRefreshToken("seeded-token", "1")
	d.Platform("ebay").SetClientSecret("rotated-secret", false)
	oidc := d.refresh("oidc", "seeded-token")
	xsale := d.login("wrong-password")
	wantStatus(t, xsale, http.StatusForbidden)
	xsale = d.login(demomarket.DefaultPassword)
	minted := d.Platform("allegro").Grant("1")
	wrong := d.refreshRequest("ebay", "unknown-token")
	wrong.SetBasicAuth("demo-client", "wrong-secret")
	d.must(wrong)
	d.get("/oidc/userinfo", "Authorization", "Bearer made-up-access-token")

	secrets := d.Secrets()
	for what, value := range map[string]string{
		"default client secret":    demomarket.DefaultClientSecret,
		"default password":         demomarket.DefaultPassword,
		"seeded refresh token":     "seeded-token",
		"minted refresh token":     minted,
		"new client secret":        "rotated-secret",
		"access token":             oidc.text("access_token"),
		"refresh token":            oidc.text("refresh_token"),
		"ID token":                 oidc.text("id_token"),
		"xSale's access token":     xsale.text("access_token"),
		"received password":        "wrong-password",
		"received refresh token":   "unknown-token",
		"received client secret":   "wrong-secret",
		"received access token":    "made-up-access-token",
		"received Basic, as it is": strings.TrimPrefix(wrong.Header.Get("Authorization"), "Basic "),
	} {
		if !slices.Contains(secrets, value) {
			t.Errorf("the %s %q is not among the secrets", what, value)
		}
	}
	if slices.Contains(secrets, demomarket.DefaultClientID) || slices.Contains(secrets, demomarket.DefaultUser) {
		t.Error("a name is among the secrets")
	}

	bounded := demomarket.New(demomarket.Options{SecretLog: 2})
	bounded.Platform("ebay").SeedRefreshToken("one-token", "1")
	bounded.Platform("ebay").SeedRefreshToken("two-token", "1")
	wantEqual(t, "newest", strings.Join(bounded.Secrets(), " "), "one-token two-token")
	wantEqual(t, "none", len(demomarket.New(demomarket.Options{SecretLog: -1}).Secrets()), 0)
}

func TestManyClientsAtOnce(t *testing.T) {
	const clients, rounds = 16, 8
	d := serve(t)
	var all sync.WaitGroup
	for i := range clients {
		token := fmt.Sprintf("seeded-%d", i)
		d.Platform("oidc").SeedRefreshToken(token, token)
		all.Go(func() {
			held := token
			for range rounds {
				got, err := d.do(d.refreshRequest("oidc", held))
				if err != nil || got.status != http.StatusOK {
					t.Errorf("refresh: %d %v", got.status, err)
					return
				}
				held = got.text("refresh_token")
				d.Report()
				d.Platform("oidc").Requests()
				d.Secrets()
			}
		})
	}
	all.Wait()
	report := d.Platform("oidc").Report()
	wantEqual(t, "refreshes", report.Count(demomarket.GrantRefreshToken, demomarket.OK), clients*rounds)
	wantEqual(t, "double spends", report.DoubleSpends, 0)
	wantEqual(t, "live families", report.LiveFamilies, clients)
}

func TestManySignInsAtOnce(t *testing.T) {
	const people = 16
	d := serveSites(t)
	market := d.Platform("allegro")
	clients := make([]*http.Client, people)
	for i := range clients {
		clients[i] = d.browser().Client
	}
	link, confirm := d.link("allegro"), d.link("allegro", map[string]string{"prompt": "confirm"})
	var all sync.WaitGroup
	for i, client := range clients {
		all.Go(func() {
			person := demomarket.Person{SellerID: market.Seller().ID}
			if i%2 == 1 {
				person.SellerID = market.OtherSeller().ID
			}
			for _, link := range []string{link, confirm} {
				callback, err := market.SignIn(t.Context(), client, link, person)
				if err != nil {
					t.Errorf("signing in: %v", err)
					return
				}
				got, err := d.do(d.exchangeRequest("allegro", callback.Query().Get("code")))
				if err != nil || got.status != http.StatusOK {
					t.Errorf("exchange: %d %v", got.status, err)
					return
				}
				if owner := claims(t, got.text("access_token"))["user_name"]; owner != person.SellerID {
					t.Errorf("seller %s got the tokens of %v", person.SellerID, owner)
				}
			}
		})
	}
	all.Wait()
	wantEqual(t, "codes", market.Report().Codes, demomarket.CodeTally{Issued: 2 * people, Used: 2 * people})
	d.ResetReport()
	wantEqual(t, "codes after a reset", d.Report().Total.Codes, demomarket.CodeTally{})
}

func TestOfManyThatSpendOneTokenOneWins(t *testing.T) {
	const clients = 16
	d := serve(t, demomarket.OIDC())
	d.Platform("oidc").SeedRefreshToken("seeded", "1")
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { _, _ = d.do(d.refreshRequest("oidc", "seeded")) })
	}
	all.Wait()
	report := d.Platform("oidc").Report()
	wantEqual(t, "refreshes", report.Count("", demomarket.OK), 1)
	wantEqual(t, "double spends", report.DoubleSpends, clients-1)
	wantEqual(t, "live families", report.LiveFamilies, 0)
}
