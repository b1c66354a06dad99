package api_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestUpgradePageLabelsWhatAccountsName is S8b: one command labels the Secrets that accounts use, and no further ones.
func TestUpgradePageLabelsWhatAccountsName(t *testing.T) {
	const in = "upgraded"
	if err := kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: in}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"app": "application", "both": "application.login", "user": "login", "import": "refresh-token", "other": ""}
	for name := range want {
		if err := kube.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	password := func(name string) fields {
		return fields{"spec.grant.type": "Password", "spec.grant.password.secretRef.name": name}
	}
	for name, set := range map[string]fields{
		"first":  {"spec.applicationSecretRef.name": "app"},
		"second": {"spec.applicationSecretRef.name": "app", "spec.grant.type": "RefreshToken", "spec.grant.refreshToken.secretRef.name": "import"},
		"third":  password("both"),
		"fourth": password("user"),
		"shared": nil, // with the Marketplace's own application
	} {
		set = maps.Clone(set)
		if set == nil {
			set = fields{}
		}
		set["metadata.namespace"], set["metadata.name"] = in, name
		if name == "third" || name == "fourth" {
			set["spec.applicationSecretRef.name"] = "both"
		}
		created := with(t, account(t), set)
		if err := kube.Create(t.Context(), created); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kube.Delete(context.Background(), created) })
	}
	uses := tested(t, "upgrade.md", "uses")
	if listed, want := shell(t, t.TempDir(), uses), "upgraded app application\nupgraded both application.login\nupgraded import refresh-token\nupgraded user login\n"; !strings.Contains(listed, want) {
		t.Errorf("listed are\n%s, want\n%s", listed, want)
	}
	for range 2 { // it may be done again
		shell(t, t.TempDir(), uses+"\n"+tested(t, "upgrade.md", "label"))
	}
	got := map[string]string{}
	var secrets corev1.SecretList
	if err := kube.List(t.Context(), &secrets, client.InNamespace(in)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.Items {
		got[secret.Name] = secret.Labels[v1alpha1.LabelUse]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
