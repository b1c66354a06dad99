// Package facts is what is known of one account at one moment, and what follows from it: whether a token is due and which refresh token to
// send, what still counts as refused, and whether a person has to sign in. It is pure: values in, values out, without client, HTTP, context or
// clock.
package facts
