// Package marketplaces holds every shipped Marketplace against exchanges with its platform that were written down from the platform's
// own documentation: README.md describes their format.
package marketplaces
