package api_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Without an operator nothing takes the finalizer off an account that revokes: the page's lines find these accounts alone.
func TestUninstallPageFreesAccountsWithoutAnOperator(t *testing.T) {
	const revoke, other = v1alpha1.FinalizerRevoke, "example.com/audit"
	accounts := map[string][]string{
		"stuck":          {revoke},
		"stuck-with-two": {other, revoke},
		"of-others":      {other},
		"in-use":         {revoke},
	}
	for name, finalizers := range accounts {
		created := with(t, account(t), fields{"metadata.name": name, "spec.deletionPolicy": "Revoke"})
		created.SetFinalizers(finalizers)
		if err := kube.Create(t.Context(), created); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { release(t, name) })
		if name == "in-use" {
			continue
		}
		if err := kube.Delete(t.Context(), created); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()

	listed := strings.Fields(shell(t, folder, tested(t, "uninstall.md", "list")))
	if want := strings.Fields("shop stuck 0 shop stuck-with-two 1"); !slices.Equal(listed, want) {
		t.Errorf("listed are %q, want %q", listed, want)
	}
	shell(t, folder, tested(t, "uninstall.md", "free"))

	for name, want := range map[string][]string{"stuck": nil, "stuck-with-two": {other}, "of-others": {other}, "in-use": {revoke}} {
		var left v1alpha1.MarketplaceAccount
		err := kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &left)
		switch {
		case want == nil && !apierrors.IsNotFound(err):
			t.Errorf("%s must be gone, error %v", name, err)
		case want != nil && (err != nil || !slices.Equal(left.Finalizers, want)):
			t.Errorf("%s has the finalizers %q, want %q, error %v", name, left.Finalizers, want, err)
		}
	}
}

// release removes an account whatever holds it.
func release(t *testing.T, name string) {
	t.Helper()
	ctx := context.Background()
	var left v1alpha1.MarketplaceAccount
	if err := kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &left); err != nil {
		return
	}
	left.Finalizers = nil
	if err := kube.Update(ctx, &left); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	if err := kube.Delete(ctx, &left); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
}

// Where kustomize installed, the page's lines remove the workloads and leave the Secrets that must not be lost.
func TestUninstallPageRemovesTheOperatorAlone(t *testing.T) {
	var kept v1alpha1.MarketplaceAccount
	store(t, with(t, account(t), fields{"metadata.name": "kept"}), &kept)
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Rel(folder, absolute(t, "../../config"))
	if err != nil {
		t.Fatal(err)
	}
	overlay := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [" + config + "/default]\ncomponents: [" + config + "/components/portal-apart]\n"
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, folder, "kubectl apply -k .")
	if left := installed(t); len(left) < 14 {
		t.Fatalf("only %q are installed: the test says nothing", left)
	}

	shell(t, folder, tested(t, "uninstall.md", "the operator alone"))

	if left := installed(t); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(&kept), &kept); err != nil {
		t.Errorf("the account must stay: %v", err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// installed lists the objects of an installation beside its kinds and its namespace.
func installed(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &corev1.ConfigMapList{},
		&rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{},
	} {
		if err := kube.List(t.Context(), list, client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper"}); err != nil {
			t.Fatal(err)
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			names = append(names, fmt.Sprintf("%T %s", item, item.(client.Object).GetName()))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
