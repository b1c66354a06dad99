// Package grantstore reads and writes the grant Secret of an account, and keeps a custody that could not be written in memory: after a
// marketplace has answered, it is the only copy of the tokens that a single-use refresh token was spent for. No other package writes a grant Secret.
//
// It decides nothing about an account. It knows when a custody was restored from a backup or written in another cluster, and how a
// custody that waited in memory goes on top of one that was stored meanwhile.
package grantstore
