// Command bench measures tokenkeeper on this machine: the operator as a program of its own, a real kube-apiserver and etcd
// from $KUBEBUILDER_ASSETS, and the demo marketplace, all on loopback. "make bench" runs it. It prints a table to standard
// error and the same figures as JSON to standard output, or to the file that -json names. Nothing that it measures decides
// its exit code.
//
// A scenario is what happens on one or two clusters, and serves every benchmark that needs that state: filling a cluster with
// ten thousand accounts is done once in a run. docs/performance.md says how each figure comes about.
package main
