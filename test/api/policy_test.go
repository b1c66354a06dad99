package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestPolicyForbidsMoreOfTokenSecrets is S8a: the example that a cluster admin can begin with is one that the API server enforces.
func TestPolicyForbidsMoreOfTokenSecrets(t *testing.T) {
	tenant := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tenant", Labels: map[string]string{"example.com/tenant": "true"}}}
	if err := kube.Create(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	for _, policy := range documents(t, "../../docs/examples/token-secret-policy.yaml") {
		if err := kube.Create(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := kube.Delete(context.Background(), policy); err != nil {
				t.Error(err)
			}
		})
	}
	bare := with(t, account(t), fields{"metadata.namespace": "tenant", "spec.accountID": "44130512"})
	unnamed := with(t, bare, fields{"spec.accountID": nil})
	// A policy holds some seconds after it was written.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return kube.Create(ctx, unnamed.DeepCopy(), client.DryRunAll) != nil, nil
	})
	if err != nil {
		t.Fatalf("the policy refuses nothing: %v", err)
	}
	template := func(field string, value any) fields { return fields{"spec.tokenSecret.template." + field: value} }
	for name, rule := range map[string]rule{
		"a bare account":                {},
		"labels of one's own":           {set: template("labels", map[string]any{"example.com/team": "a"})},
		"keys of one's own":             {set: template("data", map[string]any{"authorization": "Bearer {{ .access_token }}"})},
		"an account without an ID":      {set: fields{"spec.accountID": nil}, wants: "spec.accountID must be set in this namespace"},
		"an application without an ID":  {set: fields{"spec.accountID": nil, "spec.grant.type": "ClientCredentials"}},
		"the credentials of a registry": {set: template("type", "kubernetes.io/dockerconfigjson"), wants: "must be Opaque in this namespace"},
		"a tool that copies Secrets":    {set: template("annotations", map[string]any{"replicator.example.org/to": ".*"}), wants: "under example.com/ alone"},
		"another label":                 {set: template("labels", map[string]any{"team": "a"}), wants: "under example.com/ alone"},
		"a planted application":         {set: template("data", map[string]any{"client_id": "a"}), wants: "must not have the keys of an application or a login"},
		"another namespace":             {set: fields{"metadata.namespace": namespace, "spec.accountID": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			err := kube.Create(t.Context(), with(t, bare, rule.set), client.DryRunAll)
			if rule.wants == "" && err != nil || rule.wants != "" && (err == nil || !strings.Contains(err.Error(), rule.wants)) {
				t.Errorf("the API server says %v, want %q", err, rule.wants)
			}
		})
	}
}
