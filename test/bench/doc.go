// Command bench measures tokenkeeper on this machine: the operator as a program of its own, a real kube-apiserver and etcd
// from $KUBEBUILDER_ASSETS, and the demo marketplace, all on loopback. "make bench" runs it. It prints a table to standard
// error and the same figures as JSON to standard output, or to the file that -json names. Nothing that it measures decides
// its exit code.
package main
