// Package facts holds the facts of one account at one moment, and the conclusions from them: whether a token is due and which refresh token to
// send, which refusals still stand, and whether a person has to sign in. It is pure: values in, values out, without client, HTTP, context or
// clock.
package facts
