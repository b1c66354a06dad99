// Package testworld is what the suites tell their stories in: a real API server with what the operator needs in it, a namespace with
// a demo marketplace behind shipped Marketplaces, and a transcript of all that was said, where no credential may be.
//
// How the operator runs, and what is broken on its way to others, is each suite's own.
package testworld
