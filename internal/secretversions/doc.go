// Package secretversions knows the version of every Secret that does not carry the operator's label, the account that controls it, and what
// its label says that it may be used as. It knows nothing else of these Secrets, because they belong to others: less than two hundred bytes each, where a cache of their
// metadata takes thousands. The labelled ones are in the manager's cache, which package kube sets up.
package secretversions
