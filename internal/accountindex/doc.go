// Package accountindex finds accounts in the cache: by their Marketplace, by the Secrets that they refer to, and by their seller.
package accountindex
