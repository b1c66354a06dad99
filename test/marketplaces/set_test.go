package marketplaces_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestEverythingNamesTheSameMarketplaces holds all lists of the shipped marketplaces against their manifests.
func TestEverythingNamesTheSameMarketplaces(t *testing.T) {
	want := slices.Sorted(maps.Keys(manifests(t)))
	const chart = "../../charts/tokenkeeper-marketplaces/"
	notAMarketplace := []string{"global", "enabled", "commonLabels", "commonAnnotations"}
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(read(t, chart+"values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	for place, names := range map[string][]string{
		"config/marketplaces/kustomization.yaml":                  resources(t, "../../config/marketplaces/kustomization.yaml"),
		"charts/tokenkeeper-marketplaces/files":                   stems(t, chart+"files/*.yaml"),
		"charts/tokenkeeper-marketplaces/values.yaml":             without(slices.Collect(maps.Keys(readYAML(t, chart+"values.yaml"))), notAMarketplace),
		"charts/tokenkeeper-marketplaces/values.schema.json":      without(slices.Collect(maps.Keys(schema.Properties)), notAMarketplace),
		"the accounts of config/samples":                          sampled(t),
		"the table of docs/marketplaces.md":                       tabled(t),
		"docs/marketplaces and the notes of docs/marketplaces.md": slices.Concat(stems(t, "../../docs/marketplaces/*.md"), noted(t)),
		"docs/reference/proofs.md":                                headings(t, "../../docs/reference/proofs.md", `(?m)^## (\S+)$`),
	} {
		slices.Sort(names)
		if diff := cmp.Diff(want, slices.Compact(names)); diff != "" {
			t.Errorf("%s (-manifests +there):\n%s", place, diff)
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// stems are the names of files without their extension.
func stems(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return paths
}

func without(names, others []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(others, name) })
}

// resources are the files that a kustomization names.
func resources(t testing.TB, path string) []string {
	t.Helper()
	var names []string
	list, _ := readYAML(t, path)["resources"].([]any)
	for _, resource := range list {
		names = append(names, strings.TrimSuffix(resource.(string), ".yaml"))
	}
	return names
}

// sampled are the marketplaces of the samples' accounts.
func sampled(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		for document := range strings.SplitSeq(string(read(t, path)), "\n---\n") {
			var object struct {
				Spec struct {
					MarketplaceRef struct {
						Name string `json:"name"`
					} `json:"marketplaceRef"`
				} `json:"spec"`
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if name := object.Spec.MarketplaceRef.Name; name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// tabled are the first cells of the table of shipped marketplaces.
func tabled(t testing.TB) []string {
	t.Helper()
	_, after, _ := strings.Cut(string(read(t, "../../docs/marketplaces.md")), "\n| Marketplace |")
	table, _, _ := strings.Cut(after, "\n\n")
	var names []string
	for _, cell := range regexp.MustCompile("(?m)^\\| \\[?`([a-z0-9]+)`").FindAllStringSubmatch(table, -1) {
		names = append(names, cell[1])
	}
	return names
}

// TestTheTableNamesTheGrants holds the grants that the table of shipped marketplaces names against the manifests.
func TestTheTableNamesTheGrants(t *testing.T) {
	table := string(read(t, "../../docs/marketplaces.md"))
	for name, manifest := range manifests(t) {
		object, err := typed(manifest)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		row := regexp.MustCompile("(?m)^\\| \\[?`" + name + "`[^|]*\\|([^|]*)\\|").FindStringSubmatch(table)
		if row == nil {
			t.Errorf("%s has no row", name)
			continue
		}
		var named []v1alpha1.GrantType
		for grant := range strings.SplitSeq(row[1], ",") {
			named = append(named, v1alpha1.GrantType(strings.TrimSpace(grant)))
		}
		want := slices.Clone(object.Spec.Grants)
		slices.Sort(named)
		slices.Sort(want)
		if diff := cmp.Diff(want, named); diff != "" {
			t.Errorf("%s (-manifest +table):\n%s", name, diff)
		}
	}
}

// TestThePageOnSDKsNamesMarketplacesWithoutHosts holds docs/sdk.md against the manifests: workloads must know where key api_hosts is missing.
func TestThePageOnSDKsNamesMarketplacesWithoutHosts(t *testing.T) {
	var want, named []string
	for name, manifest := range manifests(t) {
		if manifest["spec"].(map[string]any)["apiHosts"] == nil {
			want = append(want, name)
		}
	}
	_, after, _ := strings.Cut(string(read(t, "../../docs/sdk.md")), "These marketplaces name no host of an API:")
	paragraph, _, _ := strings.Cut(after, "\n\n")
	for _, name := range regexp.MustCompile("`([a-z0-9]+)`").FindAllStringSubmatch(paragraph, -1) {
		named = append(named, name[1])
	}
	slices.Sort(want)
	slices.Sort(named)
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("(-manifests +page):\n%s", diff)
	}
}

// noted are the marketplaces of which docs/marketplaces.md has notes, and the one to copy, through which it walks.
func noted(t testing.TB) []string {
	t.Helper()
	names := headings(t, "../../docs/marketplaces.md", `(?m)^### (Allegro|Amazon|eBay|xSale)$`)
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return append(names, "oidc")
}

func headings(t testing.TB, path, pattern string) []string {
	t.Helper()
	var names []string
	for _, heading := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(read(t, path)), -1) {
		names = append(names, heading[1])
	}
	return names
}
