package main

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rbac is the API version of roles and their bindings.
const rbac = "rbac.authorization.k8s.io/v1"

// withBindings adds to roles their bindings to the operator's user, and before them the namespaces of the ones that have
// one.
func withBindings(roles []manifest) []manifest {
	var namespaces, bindings []manifest
	for _, role := range roles {
		bindings = append(bindings, manifest{role.file, binding(role.object)})
		if namespace := role.object.GetNamespace(); namespace != "" {
			namespaces = append(namespaces, manifest{role.file, namespaceObject(namespace)})
		}
	}
	return append(append(namespaces, roles...), bindings...)
}

// binding gives a role to the operator's user.
func binding(role *unstructured.Unstructured) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbac,
		"kind":       role.GetKind() + "Binding",
		"metadata":   map[string]any{"name": role.GetName()},
		"roleRef":    map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": role.GetKind(), "name": role.GetName()},
		"subjects": []any{
			map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": operatorUser},
		},
	}}
	if namespace := role.GetNamespace(); namespace != "" {
		object.SetNamespace(namespace)
	}
	return object
}

func namespaceObject(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
}
