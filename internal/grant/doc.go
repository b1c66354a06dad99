// Package grant turns credentials into tokens: a file per grant, one type for answers and one for
// failures.
//
// It speaks standard OAuth 2 (RFC 6749) through golang.org/x/oauth2. The ways of a platform are the
// business of the transport that the caller brings; storing tokens, and the meaning of a failure for an
// object in a cluster, are the business of the caller. Errors of this package carry no text from outside that
// was not cleaned of credentials.
package grant
