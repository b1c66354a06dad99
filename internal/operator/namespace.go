package operator

import "strings"

const (
	// namespaceFile is where a pod reads its namespace.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
	// defaultNamespace is the operator's outside of a pod: that of the manifests.
	defaultNamespace = "tokenkeeper-system"
)

// ownNamespace is the namespace that the operator runs in.
func ownNamespace(readFile func(string) ([]byte, error)) string {
	if name, err := readFile(namespaceFile); err == nil && len(strings.TrimSpace(string(name))) > 0 {
		return strings.TrimSpace(string(name))
	}
	return defaultNamespace
}
