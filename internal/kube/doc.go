// Package kube is how the operator reads and writes Kubernetes: the caches and the fields of objects that they hold, a client that reads
// its own writes, the metadata of Secrets and Namespaces that are not the operator's, and the Secrets that users wrote. A Shard
// selects the accounts.
//
// It does not know the use of the objects: the caller maps a changed object to the accounts that it concerns.
package kube
