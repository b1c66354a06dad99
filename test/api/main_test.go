// Package api_test asks a real API server about the two kinds: every rule, default, bound and column that
// users meet when they write a manifest. It knows the custom resource definitions and no other code but
// the types.
package api_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

const namespace = "shop"

var (
	config          *rest.Config
	kube            client.Client
	adminKubeconfig []byte
)

func TestMain(m *testing.M) {
	testworld.Main(m, func(server *testworld.APIServer) error {
		if err := os.Setenv("GOGC", strconv.Itoa(testworld.CollectAt)); err != nil { // of kubectl
			return err
		}
		config, kube, adminKubeconfig = server.Config, server.Kube, server.Kubeconfig()
		return kube.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}, nil)
}

// object reads a manifest.
func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	read := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &read.Object); err != nil {
		t.Fatalf("reading the manifest: %v", err)
	}
	return read
}

// fields are set in an object by path, such as "spec.renewal.before" or "spec.scopes.0"; nil removes one.
type fields map[string]any

// with returns a copy of the object in which the fields are set.
func with(t *testing.T, original *unstructured.Unstructured, changes fields) *unstructured.Unstructured {
	t.Helper()
	changed := original.DeepCopy()
	for path, value := range changes {
		steps := strings.Split(path, ".")
		var parent any = changed.Object
		for _, step := range steps[:len(steps)-1] {
			parent = child(t, parent, step)
		}
		set(t, parent, steps[len(steps)-1], value)
	}
	return changed
}

func child(t *testing.T, parent any, step string) any {
	t.Helper()
	switch parent := parent.(type) {
	case map[string]any:
		if parent[step] == nil {
			parent[step] = map[string]any{}
		}
		return parent[step]
	case []any:
		return parent[index(t, step)]
	}
	t.Fatalf("there is nothing under which to set %q", step)
	return nil
}

func set(t *testing.T, parent any, step string, value any) {
	t.Helper()
	switch parent := parent.(type) {
	case map[string]any:
		if value == nil {
			delete(parent, step)
			return
		}
		parent[step] = value
	case []any:
		parent[index(t, step)] = value
	default:
		t.Fatalf("there is nothing under which to set %q", step)
	}
}

func index(t *testing.T, step string) int {
	t.Helper()
	i, err := strconv.Atoi(step)
	if err != nil {
		t.Fatalf("a list has no field %q", step)
	}
	return i
}

// list makes a list of n values that differ, as sets demand.
func list(n int, value func(i int) any) []any {
	values := make([]any, n)
	for i := range values {
		values[i] = value(i)
	}
	return values
}

// rule is the API server's verdict on an object in which some fields are set.
type rule struct {
	set   fields
	wants string // a part of the refusal; empty where the object is accepted
}

// checkRules creates a changed copy of the object for each rule, without storing it.
func checkRules(t *testing.T, original *unstructured.Unstructured, rules map[string]rule) {
	t.Helper()
	for sentence, rule := range rules {
		t.Run(sentence, func(t *testing.T) {
			err := kube.Create(t.Context(), with(t, original, rule.set), client.DryRunAll)
			checkAnswer(t, err, rule.wants)
		})
	}
}

// checkUpdates stores the object and changes it for each rule, without storing the change.
func checkUpdates(t *testing.T, original *unstructured.Unstructured, rules map[string]rule) {
	t.Helper()
	stored := original.DeepCopy()
	if err := kube.Create(t.Context(), stored); err != nil {
		t.Fatalf("creating the object: %v", err)
	}
	t.Cleanup(func() {
		if err := kube.Delete(context.Background(), stored); err != nil {
			t.Errorf("deleting the object: %v", err)
		}
	})
	for sentence, rule := range rules {
		t.Run(sentence, func(t *testing.T) {
			err := kube.Update(t.Context(), with(t, stored, rule.set), client.DryRunAll)
			checkAnswer(t, err, rule.wants)
		})
	}
}

func checkAnswer(t *testing.T, err error, wants string) {
	t.Helper()
	switch {
	case wants == "" && err != nil:
		t.Errorf("must be accepted, but the API server says: %v", err)
	case wants != "" && err == nil:
		t.Errorf("must be refused with %q, but is accepted", wants)
	case wants != "" && !apierrors.IsInvalid(err):
		t.Errorf("must be refused as invalid, but the API server says: %v", err)
	case wants != "" && !strings.Contains(err.Error(), wants):
		t.Errorf("must be refused with %q, but the API server says: %v", wants, err)
	}
}
