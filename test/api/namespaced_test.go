package api_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	namespaced  = "../../config/namespaced"
	clusterRole = "../../config/components/namespaces/cluster_role.yaml"
)

// rights are the rights that the roles of a kind in a file allow, each verb on each resource by itself.
func rights(t *testing.T, path, kind string) []string {
	t.Helper()
	var all []string
	for _, manifest := range documents(t, path) {
		if manifest.GetKind() != kind {
			continue
		}
		var role rbacv1.ClusterRole // the rules of a Role read the same
		convert(t, manifest.Object, &role)
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						all = append(all, strings.TrimSpace(fmt.Sprint(verb, " ", group, "/", resource, " ", strings.Join(rule.ResourceNames, ","))))
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// Where the operator watches some namespaces, its rights are the generated ones, of which most hold there alone.
func TestNamespacedRightsAreTheGeneratedOnes(t *testing.T) {
	everywhere := rights(t, clusterRole, "ClusterRole")
	there := rights(t, filepath.Join(namespaced, "watched", "role.yaml"), "Role")
	both := slices.Concat(everywhere, there)
	slices.Sort(both)
	if generated := rights(t, "../../config/rbac/role.yaml", "ClusterRole"); !slices.Equal(both, generated) {
		t.Errorf("together they allow\n%s\nand config/rbac/role.yaml allows\n%s", strings.Join(both, "\n"), strings.Join(generated, "\n"))
	}
	for _, right := range everywhere {
		for _, resource := range []string{"/secrets", "/marketplaceaccounts", "/events"} {
			if strings.Contains(right, resource) {
				t.Errorf("%q must not hold in the whole cluster", right)
			}
		}
	}
	elsewhere := rights(t, filepath.Join(namespaced, "application.yaml"), "Role")
	if want := []string{"get /secrets allegro-app"}; !slices.Equal(elsewhere, want) {
		t.Errorf("where the application lies it may %v, want %v", elsewhere, want)
	}
}

func TestNamespacedManifests(t *testing.T) {
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, name := range []string{"../components/namespaces/cluster_role.yaml", "watched/role.yaml", "watched/role_binding.yaml", "application.yaml"} {
		for _, manifest := range documents(t, filepath.Join(namespaced, name)) {
			if manifest.GetKind() != "ClusterRole" {
				manifest.SetNamespace(namespace) // it comes from a kustomization, or is not there in these tests
			}
			if err := strict.Create(t.Context(), manifest, client.DryRunAll); err != nil {
				t.Errorf("%s %s: %v", manifest.GetKind(), manifest.GetName(), err)
			}
		}
	}
}

// The namespaces that the flag names have the rights, and no other has.
func TestNamespacedKustomization(t *testing.T) {
	var kustomization struct {
		Resources          []string `json:"resources"`
		ConfigMapGenerator []struct {
			Literals []string `json:"literals"`
		} `json:"configMapGenerator"`
	}
	convert(t, documents(t, filepath.Join(namespaced, "kustomization.yaml"))[0].Object, &kustomization)
	var watched, granted []string
	for _, generator := range kustomization.ConfigMapGenerator {
		for _, literal := range generator.Literals {
			watched = append(watched, strings.Split(strings.TrimPrefix(literal, "watch-namespaces="), ",")...)
		}
	}
	for _, resource := range kustomization.Resources {
		if strings.Contains(resource, ".") {
			continue
		}
		var folder struct {
			Namespace string `json:"namespace"`
		}
		convert(t, documents(t, filepath.Join(namespaced, resource, "kustomization.yaml"))[0].Object, &folder)
		granted = append(granted, folder.Namespace)
	}
	if len(watched) == 0 || !slices.Equal(watched, granted) {
		t.Errorf("it watches %v, and has rights in %v", watched, granted)
	}
}
