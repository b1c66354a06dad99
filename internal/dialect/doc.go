// Package dialect speaks to a platform in its own way. It stands between golang.org/x/oauth2 and the platform: it takes the standard request
// apart, sends it the way the platform wants it, and gives back a standard answer, or says that the answer is none. It also makes the identity
// request. Its tests are those of package marketplace, which makes a Spec of a Marketplace.
package dialect
