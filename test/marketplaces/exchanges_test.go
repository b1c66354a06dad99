package marketplaces_test

import (
	"os"
	"slices"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// TestExchanges holds every shipped Marketplace against its platform's documentation.
func TestExchanges(t *testing.T) {
	schema := schema(t)
	for name, manifest := range manifests(t) {
		object, err := typed(stored(schema, manifest))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, file := range folder(t, name) {
			t.Run(name+"/"+file.Name, func(t *testing.T) {
				if err := play(t.Context(), object, file); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestEveryMarketplaceIsProved misses folders, and grants without a first token and one that follows.
func TestEveryMarketplaceIsProved(t *testing.T) {
	all := manifests(t)
	for name, manifest := range all {
		object, err := typed(manifest)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files := folder(t, name)
		if len(files) == 0 {
			t.Errorf("there are no exchanges in test/marketplaces/%s", name)
		}
		for _, grant := range object.Spec.Grants {
			if !slices.ContainsFunc(files, func(file *exchange.File) bool { return renews(object, file, grant) }) {
				t.Errorf("test/marketplaces/%s has no first token of grant %s with one that follows", name, grant)
			}
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && all[entry.Name()] == nil {
			t.Errorf("test/marketplaces/%s belongs to no Marketplace", entry.Name())
		}
	}
}

// renews tells whether an exchange brings tokens with a grant, and brings newer ones later.
func renews(object *v1alpha1.Marketplace, file *exchange.File, grant v1alpha1.GrantType) bool {
	asked, brought := object.Spec.Grants[0], 0
	for _, step := range file.Steps {
		if step.Ask.Grant != "" {
			asked = v1alpha1.GrantType(step.Ask.Grant)
		}
		if asked == grant && step.Outcome == "tokens" {
			brought++
		}
	}
	return brought > 1
}
