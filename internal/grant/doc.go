// Package grant turns credentials into tokens: a file per grant, one type for what comes back and one for
// what goes wrong.
//
// It speaks standard OAuth 2 (RFC 6749) through golang.org/x/oauth2. What a platform does differently is the
// business of the transport that the caller brings; what is stored where, and what a failure means for an
// object in a cluster, is the business of the caller. Errors of this package carry no text from outside that
// was not cleaned of credentials.
package grant
