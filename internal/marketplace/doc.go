// Package marketplace turns a Marketplace object, which is data, into the Platform that one account talks to:
// every URL filled in, every default applied.
//
// Its dialect is an http.RoundTripper that stands between golang.org/x/oauth2 and the platform: it takes the
// standard request apart, sends it the way the platform wants it, and gives back a standard answer. So one
// OAuth library speaks to all of them:
//
//	platform, err := marketplace.Resolve(object, account)
//	client := outgoing.NewClient(platform.Dialect(outgoing.NewTransport(), time.Now), timeout)
//
// The package knows no grant and stores nothing.
package marketplace
