// Package grantstore reads and writes the grant Secret of an account, and keeps in memory what could not be written: after a marketplace
// has answered, that is the only copy of what a single-use refresh token was spent for. Nobody but this package writes a grant Secret.
//
// It decides nothing about an account. It knows when a custody was restored from a backup or written in another cluster, and how a
// custody that waited in memory goes on top of one that was stored meanwhile.
package grantstore
