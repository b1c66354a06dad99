// Package pages writes the pages on which people sign in at a platform of the demo marketplace.
package pages
