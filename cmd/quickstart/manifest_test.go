package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestLoadManifests(t *testing.T) {
	files := fstest.MapFS{
		"samples/allegro.yaml": {Data: []byte(`# A comment before everything.
apiVersion: v1
kind: Secret
metadata: {name: allegro-app, namespace: shop}
---
# Nothing but a comment.
---
apiVersion: tokenkeeper.dev/v1alpha1
kind: MarketplaceAccount
metadata: {name: allegro-main, namespace: shop}
`)},
		"samples/kustomization.yaml": {Data: []byte("kind: Kustomization\n")},
		"samples/kustomization.yml":  {Data: []byte("kind: Kustomization\n")},
		"samples/namespace.yaml":     {Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")},
		"samples/README.md":          {Data: []byte("kind: Nothing\n")},
		"samples/more/xsale.yml":     {Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: xsale-app, namespace: shop}\n---\n")},
		"other/secret.yaml":          {Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: other}\n")},
	}
	tests := map[string]struct {
		place string
		want  []string
	}{
		"a folder": {"samples", []string{
			"Namespace shop (samples/namespace.yaml)",
			"Secret shop/allegro-app (samples/allegro.yaml)",
			"Secret shop/xsale-app (samples/more/xsale.yml)",
			"MarketplaceAccount shop/allegro-main (samples/allegro.yaml)",
		}},
		"a file": {"other/secret.yaml", []string{"Secret other (other/secret.yaml)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			manifests, err := loadManifests(files, test.place)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range manifests {
				got = append(got, m.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("the order is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestLoadManifestsSaysWhatIsWrong(t *testing.T) {
	files := fstest.MapFS{
		"broken/secret.yaml":        {Data: []byte("kind: Secret\n  name: [\n")},
		"kindless/secret.yaml":      {Data: []byte("metadata: {name: nothing}\n")},
		"empty/kustomization.yaml":  {Data: []byte("kind: Kustomization\n")},
		"comments/placeholder.yaml": {Data: []byte("# later\n")},
	}
	tests := map[string]struct{ place, want string }{
		"no YAML":           {"broken", "decoding broken/secret.yaml"},
		"no kind":           {"kindless", "decoding kindless/secret.yaml"},
		"nothing to apply":  {"empty", "no manifest found"},
		"nothing but words": {"comments", "no manifest found"},
		"no such folder":    {"nowhere", "reading nowhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := loadManifests(files, test.place); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	marketplaces, err := loadManifests(os.DirFS("../.."), marketplaceDirectory)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marketplaces {
		t.Run(m.object.GetName(), func(t *testing.T) {
			if err := redirect(m.object, "http://127.0.0.1:8080"); err != nil {
				t.Fatal(err)
			}
			endpoints, _, err := unstructured.NestedStringMap(m.object.Object, "spec", "endpoints")
			if err != nil || len(endpoints) == 0 {
				t.Fatalf("endpoints are %v (%v)", endpoints, err)
			}
			for name, url := range endpoints {
				if !strings.HasPrefix(url, "http://127.0.0.1:8080/"+m.object.GetName()) {
					t.Errorf("endpoint %s is %s", name, url)
				}
			}
			if m.object.GetKind() != "Marketplace" || m.object.GetAPIVersion() == "" {
				t.Errorf("it became a %s %s", m.object.GetAPIVersion(), m.object.GetKind())
			}
		})
	}
}

func TestRedirectRefusesAFieldThatDoesNotExist(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tokenkeeper.dev/v1alpha1", "kind": "Marketplace",
		"metadata": map[string]any{"name": "shop"}, "spec": map[string]any{"endpoint": "https://example.com"},
	}}
	if err := redirect(object, "http://127.0.0.1:8080"); err == nil {
		t.Error("it is accepted")
	}
}

func TestRedirectLeavesOtherKindsAlone(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{"kind": "Secret", "stringData": "https://example.com"}}
	if err := redirect(object, "http://127.0.0.1:8080"); err != nil || object.Object["stringData"] != "https://example.com" {
		t.Errorf("it became %v (%v)", object.Object, err)
	}
}

func TestSamplesHoldAccountsForEveryShippedMarketplace(t *testing.T) {
	root := os.DirFS("../..")
	samples, err := loadManifests(root, sampleDirectory)
	if err != nil {
		t.Fatal(err)
	}
	marketplaces, err := loadManifests(root, marketplaceDirectory)
	if err != nil {
		t.Fatal(err)
	}
	for _, marketplace := range marketplaces {
		if !slices.ContainsFunc(samples, func(m manifest) bool {
			name, _, _ := unstructured.NestedString(m.object.Object, "spec", "marketplaceRef", "name")
			return m.object.GetKind() == kindAccount && name == marketplace.object.GetName()
		}) {
			t.Errorf("no sample account is at %s", marketplace)
		}
	}
	if names := accountsIn(samples); !slices.Contains(names, types.NamespacedName{Namespace: "shop", Name: "allegro-main"}) {
		t.Errorf("the accounts are %v", names)
	}
}
