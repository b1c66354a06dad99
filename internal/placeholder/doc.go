// Package placeholder fills in the {name}s of a Marketplace's texts.
package placeholder
