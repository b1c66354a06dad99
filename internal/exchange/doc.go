// Package exchange reads the exchanges with a platform that are written down as files: the question, the request that must
// arrive there letter by letter, its answer, and the outcome. test/marketplaces/README.md describes the format.
//
// The package sends nothing and knows neither a Marketplace nor a grant: tests hold a manifest against the files.
package exchange
