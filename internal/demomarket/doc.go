// Package demomarket is a marketplace to try, test and measure against: an http.Handler that speaks OAuth 2 the way
// Allegro, eBay, Amazon, an Auth0 tenant and a plain OpenID Connect provider do, each as strictly as the real one.
//
// It knows the token, revocation, identity and discovery endpoints, and what each platform does differently: where the
// client authenticates, which encoding it wants, how refresh tokens rotate, what an error looks like. A platform is a
// value of package platforms ([Platform]); a test that needs another quirk changes a field and hands it to [New].
//
// People sign in on its pages, which need no script: they log in, consent or deny, and are sent back with an
// authorization code, or have entered the code of a device. A browser that is logged in already is sent straight back
// with the account that it has, unless the request asks for more, which is how the wrong account is bound in practice.
// At Amazon they may begin in its store, too, which sends them to the application first ([Store]). A test drives the pages
// by a browser or by [Market.SignIn], or decides about a device by [Market.ApproveDevice] and [Market.DenyDevice]; a
// program that knows no more than the address of a demo marketplace does both as a [Person].
//
// It is also a judge (package judge). It counts token requests by grant and outcome, refresh tokens that were spent twice, pairs whose
// answer never arrived, codes that came twice or too late, and polls that came too early ([Server.Report]); it remembers
// the requests ([Market.Requests]) and every secret that passed through it ([Server.Secrets]), so that a test can look for
// them where they must not be. It fails on request ([Market.Inject]).
//
// It knows of Kubernetes only how a Marketplace is written ([RedirectManifest]), and keeps everything in memory. Time and
// randomness come in through [Options]; only [Options.Latency] and hanging requests take real time.
//
//	market := demomarket.New(demomarket.Options{Now: clock.Now})
//	server := httptest.NewServer(market)
//	allegro := market.Platform("allegro")
//	allegro.SeedRefreshToken("refresh-1", "44130512")
//	allegro.Inject(demomarket.DropAfterCommit().Once())
//	// … let the program under test renew at server.URL+"/allegro/auth/oauth/token" …
//	if spent := market.Report().Total.DoubleSpends; spent != 0 { … }
//
//	allegro.AddRedirectURI(demomarket.DefaultClientID, portal+"/callback/allegro")
//	browser := &http.Client{Jar: jar}
//	callback, err := allegro.SignIn(ctx, browser, link, demomarket.Person{SellerID: allegro.OtherSeller().ID})
//	// … let the browser go to callback …
package demomarket
