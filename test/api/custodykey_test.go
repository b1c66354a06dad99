package api_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestApplyingAgainLeavesTheKeyOfCustody: the operator has filled in what the manifests create empty, and tools that apply these
// once more, or compare them with the cluster, find nothing to take away.
func TestApplyingAgainLeavesTheKeyOfCustody(t *testing.T) {
	manifest, folder := absolute(t, "../../config/rbac/custody_key.yaml"), t.TempDir()
	shell(t, folder, "kubectl apply -f "+absolute(t, "../../config/manager/namespace.yaml"))
	key := client.ObjectKey{Namespace: "tokenkeeper-system", Name: "tokenkeeper-custody-key"}
	for _, how := range []string{"", " --server-side", " --server-side --force-conflicts"} {
		t.Run("apply"+how, func(t *testing.T) {
			shell(t, folder, "kubectl apply"+how+" -f "+manifest)
			defer shell(t, folder, "kubectl delete -f "+manifest)
			secret := &corev1.Secret{}
			if err := kube.Get(t.Context(), key, secret); err != nil {
				t.Fatal(err)
			}
			if len(secret.Data) > 0 {
				t.Errorf("it is created with %d keys", len(secret.Data))
			}
			secret.Data = map[string][]byte{"current": []byte(strings.Repeat("k", 43)), "adopted": []byte("{}")}
			if err := kube.Update(t.Context(), secret, client.FieldOwner("tokenkeeper")); err != nil {
				t.Fatal(err)
			}
			shell(t, folder, "kubectl diff"+how+" -f "+manifest) // a difference makes kubectl fail
			shell(t, folder, "kubectl apply"+how+" -f "+manifest)
			after := &corev1.Secret{}
			if err := kube.Get(t.Context(), key, after); err != nil {
				t.Fatal(err)
			}
			if len(after.Data) != 2 || after.ResourceVersion != secret.ResourceVersion {
				t.Errorf("it has %d keys after another apply, and version %s after %s", len(after.Data), after.ResourceVersion, secret.ResourceVersion)
			}
		})
	}
}
