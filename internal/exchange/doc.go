// Package exchange reads the exchanges with a platform that are written down as files: what is asked of it, the request that must
// arrive there letter by letter, its answer, and what comes of it. test/marketplaces/README.md describes the format.
//
// The package sends nothing and knows neither a Marketplace nor a grant: tests hold a manifest against the files.
package exchange
