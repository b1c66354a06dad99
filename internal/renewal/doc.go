// Package renewal knows when: pure functions from issue time, expiry, policy and now to "due" and "look
// again then". It knows no client, no clock and no token.
//
// Whether a token is usable and whether it is due are two facts. A token stays usable until it expires,
// however many renewals of it have failed.
package renewal
