// Package marketplaces holds every shipped Marketplace against exchanges with its platform that were written down from the platform's
// own documentation: README.md describes their format.
package marketplaces

import "embed"

// Exchanges are the folders of exchanges, one for each Marketplace. The demo marketplace acts by them.
//
//go:embed */*.txtar
var Exchanges embed.FS
