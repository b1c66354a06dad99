package api_test

import (
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The manifests are plain, so they are read as they are; kustomize only brings them together.
func TestInstallation(t *testing.T) {
	installed := &corev1.Namespace{}
	convert(t, documents(t, "../../config/manager/namespace.yaml")[0].Object, installed)
	if err := client.IgnoreAlreadyExists(kube.Create(t.Context(), installed)); err != nil {
		t.Fatalf("creating the operator's namespace: %v", err)
	}
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, path := range slices.Concat(manifestPaths(t, "manager"), manifestPaths(t, "rbac")) {
		if filepath.Base(path) == "namespace.yaml" {
			continue
		}
		for _, manifest := range documents(t, path) {
			if err := strict.Create(t.Context(), manifest, client.DryRunAll); err != nil {
				t.Errorf("%s %s: %v", manifest.GetKind(), manifest.GetName(), err)
			}
		}
	}
	t.Run("the pod is admitted where pods are restricted", func(t *testing.T) {
		var deployment appsv1.Deployment
		convert(t, documents(t, "../../config/manager/deployment.yaml")[0].Object, &deployment)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "tokenkeeper", Namespace: deployment.Namespace},
			Spec:       deployment.Spec.Template.Spec,
		}
		if err := kube.Create(t.Context(), pod, client.DryRunAll); err != nil {
			t.Error(err)
		}
		pod.Spec.SecurityContext = nil
		if err := kube.Create(t.Context(), pod, client.DryRunAll); err == nil {
			t.Error("a pod without a security context must be refused, or the check above says nothing")
		}
	})
}

func TestOperatorRights(t *testing.T) {
	for _, manifest := range documents(t, "../../config/rbac/role.yaml") {
		var role rbacv1.ClusterRole // the rules of a Role read the same
		convert(t, manifest.Object, &role)
		for _, rule := range role.Rules {
			for _, named := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				if slices.Contains(named, rbacv1.ResourceAll) {
					t.Errorf("%s %s must name what it allows, not %v", manifest.GetKind(), role.Name, rule)
				}
			}
			if slices.Contains(rule.Resources, "marketplaces") && slices.ContainsFunc(rule.Verbs, writes) {
				t.Errorf("%s %s must not write Marketplaces, which say where credentials are sent", manifest.GetKind(), role.Name)
			}
		}
	}
}

func writes(verb string) bool { return !slices.Contains([]string{"get", "list", "watch"}, verb) }

func convert(t *testing.T, from map[string]any, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(from, into); err != nil {
		t.Fatal(err)
	}
}
