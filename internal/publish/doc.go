// Package publish makes the token Secret of an account say what its custody says. It never goes back to older tokens, and never publishes an
// ID token that could not be verified.
package publish
