package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// documents reads the manifests of a file.
func documents(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read []*unstructured.Unstructured
	for decoder := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		document := &unstructured.Unstructured{}
		switch err := decoder.Decode(&document.Object); {
		case errors.Is(err, io.EOF):
			return read
		case err != nil:
			t.Fatalf("reading %s: %v", path, err)
		case len(document.Object) > 0:
			read = append(read, document)
		}
	}
}

// The example of an account shows the fields of every grant side by side, so it is taken once for each.
func TestDocumentedAccount(t *testing.T) {
	documented := documents(t, "testdata/marketplaceaccount.yaml")[0]
	checkRules(t, documented, map[string]rule{
		"it is accepted with DeviceCode": {
			set: fields{"spec.grant.password": nil, "spec.grant.refreshToken": nil},
		},
		"it is accepted with Password": {
			set: fields{"spec.grant.type": "Password", "spec.grant.refreshToken": nil},
		},
		"it is accepted with RefreshToken": {
			set: fields{"spec.grant.type": "RefreshToken", "spec.grant.password": nil},
		},
		"it is not accepted with a password that its grant does not use": {
			set: fields{"spec.grant.refreshToken": nil}, wants: "password must only be set with type Password",
		},
		"it is not accepted with a refresh token that its grant does not use": {
			set: fields{"spec.grant.password": nil}, wants: "refreshToken must only be set with type RefreshToken",
		},
	})
}

func TestDocumentedMarketplace(t *testing.T) {
	documented := documents(t, "testdata/marketplace.yaml")[0]
	checkRules(t, documented, map[string]rule{"it is accepted": {}})
}

// A field that the schema does not know would be dropped without a word, so the API server is asked to refuse it.
func TestDocumentedFieldsExist(t *testing.T) {
	for _, path := range []string{"testdata/marketplaceaccount.yaml", "testdata/marketplace.yaml"} {
		t.Run(path, func(t *testing.T) {
			documented := documents(t, path)[0]
			if documented.GetKind() == "MarketplaceAccount" {
				documented = with(t, documented, fields{"spec.grant.password": nil, "spec.grant.refreshToken": nil})
			}
			strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
			if err := strict.Create(t.Context(), documented, client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

// manifestPaths lists the files of a folder under config that hold objects for a cluster.
func manifestPaths(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../../config", folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ofKustomize := []string{"kustomization.yaml", "namereference.yaml"}
	paths = slices.DeleteFunc(paths, func(path string) bool { return slices.Contains(ofKustomize, filepath.Base(path)) })
	if len(paths) == 0 {
		t.Fatalf("config/%s must hold manifests", folder)
	}
	return paths
}

func TestShippedManifests(t *testing.T) {
	for _, path := range slices.Concat(manifestPaths(t, "marketplaces"), manifestPaths(t, "samples")) {
		t.Run(strings.TrimPrefix(path, "../../"), func(t *testing.T) { checkManifest(t, path) })
	}
}

// checkManifest creates the objects of a file without storing them. Their namespace is the one of these tests.
func checkManifest(t *testing.T, path string) {
	t.Helper()
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, manifest := range documents(t, path) {
		if manifest.GetKind() == "Namespace" {
			var existing corev1.Namespace
			if err := kube.Get(t.Context(), client.ObjectKey{Name: manifest.GetName()}, &existing); err != nil {
				t.Errorf("%s: the tests' namespace must be that of the samples: %v", manifest.GetName(), err)
			}
			continue
		}
		if err := strict.Create(t.Context(), manifest, client.DryRunAll); err != nil {
			t.Errorf("%s %s: %v", manifest.GetKind(), manifest.GetName(), err)
		}
	}
}

// The quota and the policy are for other names, which kustomize or the person that applies them sets.
func TestShippedBounds(t *testing.T) {
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, path := range []string{"quota/resource_quota.yaml", "components/network-policy/network_policy.yaml"} {
		for _, manifest := range documents(t, filepath.Join("../../config", path)) {
			manifest.SetNamespace(namespace)
			if err := strict.Create(t.Context(), manifest, client.DryRunAll); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// kubectl applies the files that the kustomization names, and quickstart all that are in the folder.
func TestKustomizationsNameEveryManifest(t *testing.T) {
	for _, folder := range []string{"marketplaces", "samples"} {
		t.Run(folder, func(t *testing.T) {
			kustomization := documents(t, filepath.Join("../../config", folder, "kustomization.yaml"))[0]
			named, _, err := unstructured.NestedStringSlice(kustomization.Object, "resources")
			if err != nil {
				t.Fatal(err)
			}
			var held []string
			for _, path := range manifestPaths(t, folder) {
				held = append(held, filepath.Base(path))
			}
			slices.Sort(named)
			if !slices.Equal(named, held) {
				t.Errorf("it names %v, and there are %v", named, held)
			}
		})
	}
}

// The sample for people who use the portal allows the rights that the portal asks for, in that namespace alone.
func TestClerkOfTheSamples(t *testing.T) {
	for _, path := range []string{"rbac/marketplaceaccount_operator_role.yaml", "samples/shop-clerk.yaml"} {
		for _, manifest := range documents(t, filepath.Join("../../config", path)) {
			if err := kube.Create(t.Context(), manifest); err != nil {
				t.Fatalf("creating %s %s: %v", manifest.GetKind(), manifest.GetName(), err)
			}
			t.Cleanup(func() {
				if err := kube.Delete(context.Background(), manifest); err != nil {
					t.Errorf("deleting %s %s: %v", manifest.GetKind(), manifest.GetName(), err)
				}
			})
		}
	}
	// The API server learns of new roles a moment later.
	list := authorizationv1.ResourceAttributes{Group: "tokenkeeper.dev", Resource: "marketplaceaccounts", Verb: "list", Namespace: namespace}
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true,
		func(context.Context) (bool, error) { return clerkMay(t, list), nil },
	); err != nil {
		t.Fatalf("the clerk may not list accounts: %v", err)
	}
	tests := map[string]struct {
		group, resource, verb, namespace string
		want                             bool
	}{
		"he presses the portal's buttons": {"tokenkeeper.dev", "marketplaceaccounts", "operate", namespace, true},
		"he changes no account":           {"tokenkeeper.dev", "marketplaceaccounts", "patch", namespace, false},
		"he makes no account":             {"tokenkeeper.dev", "marketplaceaccounts", "create", namespace, false},
		"he replaces no account":          {"tokenkeeper.dev", "marketplaceaccounts", "update", namespace, false},
		"he deletes no account":           {"tokenkeeper.dev", "marketplaceaccounts", "delete", namespace, false},
		"he makes no Secret":              {"", "secrets", "create", namespace, false},
		"he reads no Secret":              {"", "secrets", "get", namespace, false},
		"other namespaces are others'":    {"tokenkeeper.dev", "marketplaceaccounts", "list", "default", false},
		"he writes no Marketplace":        {"tokenkeeper.dev", "marketplaces", "patch", "", false},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			asked := authorizationv1.ResourceAttributes{Group: test.group, Resource: test.resource, Verb: test.verb, Namespace: test.namespace}
			if got := clerkMay(t, asked); got != test.want {
				t.Errorf("allowed is %t, want %t", got, test.want)
			}
		})
	}
}

// clerkMay asks the API server as the portal does.
func clerkMay(t *testing.T, what authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + namespace + ":shop-clerk", ResourceAttributes: &what,
	}}
	if err := kube.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}
