// Package lifecycle holds what is known of one account, and what is decided by it: whether a token is due and which refresh token to send,
// what still counts as refused, whether a person has to sign in, and what the failures are called. It is pure: values in, values out,
// without client, HTTP, context or clock.
//
// [Facts] is what is known at one moment, and its methods are the decisions. [Outcome] is what one look at an account has brought to light,
// from which the status is written.
package lifecycle
