package vetting_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// written is a custody as the operator writes it, with everything that there can be.
func written() custody.Custody {
	tokens := custody.Tokens{
		AccessToken: "at", IDToken: "a.b.c", TokenType: "Bearer", Scope: "read write", For: "4d5e", IssuedAt: now.Add(-time.Hour),
		ExpiresAt: now.Add(time.Hour), RenewAt: now.Add(30 * time.Minute), IDTokenWithheld: "its issuer https://login.shop.example/ is another",
	}
	grant := custody.Grant{
		RefreshToken: "rt-1~._", Imported: "rt-0", Consent: 2, ClientID: "client", Asked: []string{"read"}, GrantedAt: now.Add(-time.Hour),
		Account: custody.Account{ID: "44130512", Login: "mój-sklep", By: "answer"}, Subject: "https://issuer.example 44130512", Tokens: &tokens,
		Published: []custody.Published{{Key: "instance_url", Value: "https://acme.shop.example"}},
	}
	refused := custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, Message: "Shop refuses the refresh token (invalid_grant: see https://docs.shop.example/errors)",
		At: now, Digests: []string{"d"}}
	candidate, aside := grant, grant
	return custody.Custody{
		Version: 1, Witness: custody.Witness{Account: "uid", Cluster: "cluster"}, Serial: 7, Grant: grant, Candidate: &candidate, Aside: &aside,
		Restored: &custody.Restored{Imported: "rt-0"}, Verified: &custody.Verification{At: now, Failure: "lookup www.shop.example: no such host", Refusals: 1},
		PreviousSecretOf: "d", ClientSecret: &custody.Since{Of: "d", At: now},
		Journal: &custody.Journal{StartedAt: now, LastAt: now, Holder: "h", Attempts: 1}, ImportJournal: &custody.Journal{StartedAt: now, Attempts: 1, Imported: "rt-9"},
		SpentImports: []string{"rt-8"}, RefusalKey: make([]byte, 32),
		Logins:  custody.Logins{Worked: "d", Doubts: []custody.Doubt{{Login: "l", User: "u", Tried: []string{"t"}, Denied: 1, LastAt: now, WaitSeconds: 60}}},
		Refused: &refused, RefusedImport: &refused, NotBefore: now, DemandedAt: now, HandledRenew: "1", HandledSignIn: "2", Consents: 3, Accepted: 2,
		SignIn: custody.SignIn{
			Requested: "2", Unattended: 1, Ended: &custody.EndedCodes{Count: 1, At: now, Why: "it was good for 3s"}, Refused: &refused,
			Device: &custody.Device{Code: "dc", UserCode: "WDJB-MJHT", URL: "https://shop.example/device?code=WDJB-MJHT", ExpiresAt: now.Add(time.Hour),
				StartedAt: now, IntervalSeconds: 5, ClientID: "client", Asked: []string{"read"}},
			Tickets: []custody.Ticket{{Hash: signin.Hash("t"), ExpiresAt: now.Add(signin.TicketLife)}},
			Visits: []custody.Visit{{State: signin.Hash("s"), Cookie: signin.Hash("c"), Account: "uid", Marketplace: "shop", Server: "abc",
				ExpiresAt: now.Add(signin.VisitLife), Verifier: "v", Nonce: "n", RedirectURI: "https://tokens.example.com/callback/shop", ClientID: "client",
				Claim: "x", Problem: string(signin.CodeRefused), Detail: "register https://tokens.example.com/callback/shop"}},
		},
		Seen: custody.Seen{
			Inputs:   custody.Inputs{Spec: "1", Marketplace: "uid/1", Application: "shop/app@7", Credentials: "login@8"},
			ClientID: "client", RedirectURI: "https://tokens.example.com/callback/shop", SecretExpiresAt: now, SecretSince: now, Username: "mój sklep", GrantedAt: now,
		},
	}
}

// theShop is a platform at shop.example, with a portal at tokens.example.com.
func theShop() vetting.Platform {
	isOurs := func(address string) bool {
		return strings.Contains(address, "shop.example/") || strings.HasSuffix(address, "shop.example") || strings.HasPrefix(address, "https://tokens.example.com/")
	}
	return vetting.Platform{
		LeadsTo: isOurs, Names: isOurs,
		Visit: func(v custody.Visit) bool { return v.RedirectURI == "https://tokens.example.com/callback/shop" },
	}
}

// vet is what is left of a custody, and the names of what is not.
func vet(kept custody.Custody) (custody.Custody, []string) {
	kept, out := vetting.Form(kept, now)
	kept, more := vetting.Addresses(kept, theShop())
	return kept, append(out, more...)
}

func TestWhatTheOperatorWritesStaysAsItIs(t *testing.T) {
	whole := written()
	for i := range reflect.TypeFor[custody.Custody]().NumField() {
		if field := reflect.TypeFor[custody.Custody]().Field(i); reflect.ValueOf(whole).Field(i).IsZero() {
			t.Errorf("the test leaves %s out", field.Name)
		}
	}
	brief := custody.Custody{Grant: custody.Grant{Tokens: &custody.Tokens{
		AccessToken: "access", IssuedAt: now, ExpiresAt: now.Add(time.Second), RenewAt: now.Add(renewal.ShortestLife),
	}}}
	for name, kept := range map[string]custody.Custody{"everything": whole, "nothing": {}, "a token of a second, which is not renewed at once": brief} {
		got, out := vet(kept)
		if diff := cmp.Diff(kept, got); diff != "" || len(out) > 0 {
			t.Errorf("%s: left out %v:\n%s", name, out, diff)
		}
	}
}

// TestWhatIsForgedIsLeftOut changes one thing, and expects the part alone to be missing.
func TestWhatIsForgedIsLeftOut(t *testing.T) {
	const evil = "https://evil.example/sign-in"
	type change = func(*custody.Custody)
	tests := map[string]struct {
		forge, want change
		out         string
	}{
		"a page elsewhere for the code": {func(c *custody.Custody) { c.SignIn.Device.URL = evil }, func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a page elsewhere beside it":    {func(c *custody.Custody) { c.SignIn.Device.Page = evil }, func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a page without TLS": {func(c *custody.Custody) { c.SignIn.Device.URL = "http://shop.example/device" },
			func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a page that runs a script": {func(c *custody.Custody) { c.SignIn.Device.URL = "javascript:alert(1)//shop.example/" },
			func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a long text for the code to type": {func(c *custody.Custody) { c.SignIn.Device.UserCode = strings.Repeat("open evil.example ", 9) },
			func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a code that does not end":   {func(c *custody.Custody) { c.SignIn.Device.ExpiresAt = now.AddDate(1, 0, 0) }, func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a code of other characters": {func(c *custody.Custody) { c.SignIn.Device.Code = "dc\r\nx: y" }, func(c *custody.Custody) { c.SignIn.Device = nil }, "signIn.device"},
		"a link in a refusal": {func(c *custody.Custody) { c.Refused.Message = "Sign in at " + evil + ", please" },
			func(c *custody.Custody) { c.Refused.Message = "Sign in at [address removed] please" }, "refused.message"},
		"a link in the sign-in's refusal": {func(c *custody.Custody) { c.SignIn.Refused.Message = "(" + evil + ")" },
			func(c *custody.Custody) { c.SignIn.Refused.Message = "[address removed]" }, "signIn.refused.message"},
		"a link behind one of the platform": {func(c *custody.Custody) { c.Refused.Message = "https://shop.example/" + evil },
			func(c *custody.Custody) { c.Refused.Message = "[address removed]" }, "refused.message"},
		"a link without a scheme": {func(c *custody.Custody) { c.Verified.Failure = "see WWW.evil.example" },
			func(c *custody.Custody) { c.Verified.Failure = "see [address removed]" }, "verified.failure"},
		"a page of mail": {func(c *custody.Custody) {
			c.Verified.Failure = "write to mailto:me@shop.example or javascript:alert(1)//shop.example/"
		},
			func(c *custody.Custody) { c.Verified.Failure = "write to [address removed] or [address removed]" }, "verified.failure"},
		"a link that ended a code": {func(c *custody.Custody) { c.SignIn.Ended.Why = evil }, func(c *custody.Custody) { c.SignIn.Ended.Why = "[address removed]" }, "signIn.ended.why"},
		"a link for a browser that asks again": {func(c *custody.Custody) { c.SignIn.Visits[0].Detail = evil },
			func(c *custody.Custody) { c.SignIn.Visits[0].Detail = "[address removed]" }, "signIn.visits.detail"},
		"a link as the login": {func(c *custody.Custody) { c.Account.Login = evil }, func(c *custody.Custody) { c.Account.Login = "" }, "account.login"},
		"a link as the account": {func(c *custody.Custody) { c.Account.ID = evil },
			func(c *custody.Custody) { c.Account = custody.Account{Login: c.Account.Login} }, "account.id"},
		"a link at the ID token": {func(c *custody.Custody) { c.Tokens.IDTokenWithheld = evil },
			func(c *custody.Custody) { c.Tokens.IDTokenWithheld = "[address removed]" }, "tokens.idTokenWithheld"},
		"a scope of other characters": {func(c *custody.Custody) { c.Tokens.Scope = "orders für" }, func(c *custody.Custody) { c.Tokens.Scope = "" }, "tokens.scope"},
		"what was no text":            {func(c *custody.Custody) { c.Refused.Message = "M\ufffdller" }, func(c *custody.Custody) { c.Refused.Message = "Mller" }, "refused.message"},
		"a reason that there is not":  {func(c *custody.Custody) { c.Refused.Reason = "Sign in!" }, func(c *custody.Custody) { c.Refused = nil }, "refused"},
		"lines in a message":          {func(c *custody.Custody) { c.RefusedImport.Message = "a\nb" }, func(c *custody.Custody) { c.RefusedImport.Message = "a b" }, "refusedImport.message"},
		"another application seen":    {func(c *custody.Custody) { c.Seen.ClientID = "client\r\nx: y" }, func(c *custody.Custody) { c.Seen = custody.Seen{} }, "seen"},
		"another redirect URI seen": {func(c *custody.Custody) { c.Seen.RedirectURI = "https://\x00" },
			func(c *custody.Custody) { c.Seen = custody.Seen{} }, "seen"},
		"a long user name seen": {func(c *custody.Custody) { c.Seen.Username = strings.Repeat("u", 20_000) },
			func(c *custody.Custody) { c.Seen = custody.Seen{} }, "seen"},
		"a redirect URI elsewhere": {func(c *custody.Custody) { c.SignIn.Visits[0].RedirectURI, c.SignIn.Visits[0].Problem = evil, "" },
			func(c *custody.Custody) { c.SignIn.Visits = []custody.Visit{} }, "signIn.visits"},
		"a ticket that does not end": {func(c *custody.Custody) { c.SignIn.Tickets[0].ExpiresAt = now.AddDate(1, 0, 0) },
			func(c *custody.Custody) { c.SignIn.Tickets = []custody.Ticket{} }, "signIn.tickets"},
		"a refresh token with a line end": {func(c *custody.Custody) { c.RefreshToken = "rt\r\n" },
			func(c *custody.Custody) { c.RefreshToken, c.ClientID = "", "" }, "refreshToken"},
		"a refresh token that is too large": {func(c *custody.Custody) { c.RefreshToken = strings.Repeat("x", bounds.Token+1) },
			func(c *custody.Custody) { c.RefreshToken, c.ClientID = "", "" }, "refreshToken"},
		"an application without a name": {func(c *custody.Custody) { c.ClientID = "\x00" }, func(c *custody.Custody) { c.RefreshToken, c.ClientID = "", "" }, "refreshToken"},
		"an access token with a space at its end that is none": {func(c *custody.Custody) { c.Tokens.AccessToken = "at\u00a0" },
			func(c *custody.Custody) { c.Tokens = nil }, "tokens"},
		"a renewal after the end":                    {func(c *custody.Custody) { c.Tokens.RenewAt = c.Tokens.ExpiresAt.Add(1) }, func(c *custody.Custody) { c.Tokens.RenewAt = time.Time{} }, "tokens.renewAt"},
		"a candidate without tokens":                 {func(c *custody.Custody) { c.Candidate.Tokens = nil }, func(c *custody.Custody) { c.Candidate = nil }, "candidate"},
		"attempts below zero":                        {func(c *custody.Custody) { c.Logins.Doubts[0].Denied = -1 }, func(c *custody.Custody) { c.Logins.Doubts = nil }, "logins.doubts"},
		"a key of digests of another size":           {func(c *custody.Custody) { c.RefusalKey = []byte("x") }, func(c *custody.Custody) { c.RefusalKey = nil }, "refusalKey"},
		"an entry of the journal for nobody's token": {func(c *custody.Custody) { c.ImportJournal.Imported = "\x7f" }, func(c *custody.Custody) { c.ImportJournal = nil }, "importJournal"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			forged, want := written(), written()
			for _, c := range []*custody.Custody{&forged, &want} { // nothing is shared
				tokens, account := *c.Tokens, *c.Refused
				c.Tokens, c.Refused = &tokens, &account
				other, third := account, account
				c.RefusedImport, c.SignIn.Refused = &other, &third
			}
			test.forge(&forged)
			test.want(&want)
			got, out := vet(forged)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
			if !slices.Contains(out, test.out) {
				t.Errorf("left out %v, want %s among them", out, test.out)
			}
			for _, name := range out {
				if strings.Contains(name, "evil") {
					t.Errorf("the name %q holds what was left out", name)
				}
			}
		})
	}
}

func TestListsKeepTheirLatest(t *testing.T) {
	kept := custody.Custody{}
	for i := range 100 {
		kept.SpentImports = append(kept.SpentImports, strings.Repeat("x", i))
		kept.SignIn.Tickets = append(kept.SignIn.Tickets, custody.Ticket{Hash: strings.Repeat("x", i), ExpiresAt: now})
	}
	got, _ := vet(kept)
	if n := len(got.SpentImports); n != 16 || got.SpentImports[n-1] != kept.SpentImports[99] {
		t.Errorf("%d spent imports are kept", n)
	}
	if n := len(got.SignIn.Tickets); n != 16 || got.SignIn.Tickets[n-1] != kept.SignIn.Tickets[99] {
		t.Errorf("%d tickets are kept", n)
	}
}

// TestTheAccountThatTheOperatorKnowsStays: that of the spec or of the status, although it is an address of another host.
func TestTheAccountThatTheOperatorKnowsStays(t *testing.T) {
	const elsewhere = "https://login.elsewhere.example/id/1"
	kept, named := written(), theShop()
	kept.Account.ID, named.AccountIDs = elsewhere, []string{"", elsewhere}
	kept.SignIn.Refused.AccountID = elsewhere
	kept.Refused.Message = `The tokens belong to account "` + elsewhere + `".`
	kept.SignIn.Device.URL = elsewhere
	got, out := vetting.Addresses(kept, named)
	if got.Account != kept.Account || got.SignIn.Device != nil || got.Refused.Message != kept.Refused.Message || got.SignIn.Refused.AccountID != elsewhere {
		t.Errorf("of account %+v there is %+v, and left out are %v", kept.Account, got.Account, out)
	}
	named.AccountIDs = []string{elsewhere + "2"}
	if got, _ := vetting.Addresses(kept, named); got.Account.ID != "" {
		t.Errorf("the account is %q", got.Account.ID)
	}
}

// TestNamesBesideTenantsMayBeShownAndAreNoPages: a platform names accounts by an address beside the hosts of its tenants.
func TestNamesBesideTenantsMayBeShownAndAreNoPages(t *testing.T) {
	const beside = "https://login.shops.example/id/1"
	kept, platform := written(), theShop()
	platform.Names = func(address string) bool { return strings.Contains(address, "shops.example/") }
	kept.Account.ID, kept.Refused.Message, kept.SignIn.Device.Page = beside, "as "+beside, beside
	got, out := vetting.Addresses(kept, platform)
	if got.Account != kept.Account || got.Refused.Message != kept.Refused.Message || got.SignIn.Device != nil {
		t.Errorf("left out are %v", out)
	}
}

// TestWithoutAMarketplaceNothingIsShownToLeadThere: nobody knows which addresses are good.
func TestWithoutAMarketplaceNothingIsShownToLeadThere(t *testing.T) {
	got, _ := vetting.Addresses(written(), vetting.Platform{})
	if got.SignIn.Device != nil || strings.Contains(got.Refused.Message, "://") || len(got.SignIn.Visits) != 1 {
		t.Errorf("it is shown: %+v", got.SignIn)
	}
}

// FuzzForm reads what anybody may write: nothing of it ends the process, and what was checked once holds to the same check.
func FuzzForm(f *testing.F) {
	whole, err := json.Marshal(written())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"candidate":{"consent":1},"serial":-1,"signIn":{"device":{"url":"https://evil.example"}},"logins":{"doubts":[{"denied":-5}]}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var kept custody.Custody
		if json.Unmarshal(document, &kept) != nil {
			return
		}
		once, _ := vet(kept)
		twice, out := vet(once)
		if diff := cmp.Diff(once, twice); diff != "" || len(out) > 0 {
			t.Errorf("the second check leaves out %v:\n%s", out, diff)
		}
	})
}
