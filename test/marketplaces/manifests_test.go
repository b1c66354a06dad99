package marketplaces_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// manifests are the shipped ones by their names, as their authors wrote them.
func manifests(t testing.TB) map[string]map[string]any {
	t.Helper()
	paths, err := filepath.Glob("../../config/marketplaces/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no manifests: %v", err)
	}
	all := map[string]map[string]any{}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if name != "kustomization" {
			all[name] = readYAML(t, path)
		}
	}
	return all
}

func readYAML(t testing.TB, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return object
}

// schema is that of kind Marketplace.
func schema(t testing.TB) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	text, err := os.ReadFile("../../config/crd/bases/tokenkeeper.dev_marketplaces.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		t.Fatal(err)
	}
	return definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// ownDefaults are the defaults that the API server does not store: the operator knows them.
const ownDefaults = `
accessToken: {lifetime: 1h}
renewal: {before: 15m}
`

// stored is a manifest as the operator takes it: with the defaults of the schema, and its own.
func stored(schema *apiextensionsv1.JSONSchemaProps, manifest map[string]any) map[string]any {
	whole := copied(manifest).(map[string]any)
	addDefaults(schema, whole)
	spec := whole["spec"].(map[string]any)
	var own map[string]map[string]any
	if err := yaml.Unmarshal([]byte(ownDefaults), &own); err != nil {
		panic(err)
	}
	if request, ok := spec["authorizationRequest"].(map[string]any); ok && request["clientIDKey"] == nil && renames(request, "client_id") {
		request["clientIDKey"] = v1alpha1.ApplicationKeyApplicationID
	}
	for name, members := range own {
		given, _ := spec[name].(map[string]any)
		maps.Copy(members, given)
		spec[name] = members
	}
	return whole
}

// renames tells whether an authorization request has another name for a parameter.
func renames(request map[string]any, name string) bool {
	list, _ := request["rename"].([]any)
	return slices.ContainsFunc(list, func(rename any) bool { return rename.(map[string]any)["from"] == name })
}

// addDefaults adds the defaults that the API server adds.
func addDefaults(schema *apiextensionsv1.JSONSchemaProps, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, property := range schema.Properties {
			if _, ok := value[name]; !ok && property.Default != nil {
				var given any
				if yaml.Unmarshal(property.Default.Raw, &given) == nil {
					value[name] = given
				}
			}
			if inner, ok := value[name]; ok {
				addDefaults(&property, inner)
			}
		}
	case []any:
		for _, item := range value {
			addDefaults(schema.Items.Schema, item)
		}
	}
}

func copied(value any) any {
	switch value := value.(type) {
	case map[string]any:
		same := make(map[string]any, len(value))
		for name, inner := range value {
			same[name] = copied(inner)
		}
		return same
	case []any:
		same := make([]any, len(value))
		for i, inner := range value {
			same[i] = copied(inner)
		}
		return same
	}
	return value
}

// typed reads a manifest as the operator does.
func typed(manifest map[string]any) (*v1alpha1.Marketplace, error) {
	text, err := yaml.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	object := &v1alpha1.Marketplace{}
	return object, yaml.UnmarshalStrict(text, object)
}

// folder reads the exchanges of a platform.
func folder(t testing.TB, name string) []*exchange.File {
	t.Helper()
	files, err := exchange.Folder(os.DirFS(name))
	if err != nil {
		t.Fatalf("test/marketplaces/%s: %v", name, err)
	}
	return files
}
