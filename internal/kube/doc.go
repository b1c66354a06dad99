// Package kube is how the operator reads and writes Kubernetes: the caches and what they hold of an object, a client whose reads show the
// writes before them, the metadata of Secrets and Namespaces that are not the operator's, and the Secrets that users wrote. Which
// accounts there are at all is decided by a Shard.
//
// It does not know what the objects are used for: the caller maps a changed object to the accounts that it concerns.
package kube
