// Package marketplace turns a Marketplace object, which is data, into the Platform that one account talks to:
// every URL filled in, every default applied.
//
// Its dialect (package dialect) is an http.RoundTripper that stands between golang.org/x/oauth2 and the platform. So one
// OAuth library speaks to all of them:
//
//	platform, err := marketplace.Resolve(object, account)
//	client := outgoing.NewClient(platform.Dialect(outgoing.NewTransport(), time.Now), timeout)
//
// The package knows no grant and stores nothing.
package marketplace
