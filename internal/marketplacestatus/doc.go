// Package marketplacestatus writes the status of each Marketplace: whether it is valid, and how many accounts it has. It asks no platform, and
// touches no account.
package marketplacestatus
