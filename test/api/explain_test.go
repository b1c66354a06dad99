package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// schemas reads the schema of each kind from its definition.
func schemas(t *testing.T) map[string]apiextensionsv1.JSONSchemaProps {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testworld.Definitions(), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]apiextensionsv1.JSONSchemaProps{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &definition); err != nil {
			t.Fatalf("reading %s: %v", path, err)
		}
		read[definition.Spec.Names.Kind] = *definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	if len(read) != 2 {
		t.Fatalf("there must be two kinds, not %d", len(read))
	}
	return read
}

// walk visits every field, named by its path, at every level.
func walk(path string, schema apiextensionsv1.JSONSchemaProps, visit func(path, name string, field apiextensionsv1.JSONSchemaProps)) {
	for name, field := range schema.Properties {
		visit(path+"."+name, name, field)
		walk(path+"."+name, field, visit)
	}
	if schema.Items != nil {
		walk(path+"[]", *schema.Items.Schema, visit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		walk(path+"{}", *schema.AdditionalProperties.Schema, visit)
	}
}

// The output of kubectl explain speaks of the field by the name that people write in YAML.
func TestEveryFieldIsExplained(t *testing.T) {
	for kind, schema := range schemas(t) {
		if !strings.HasPrefix(schema.Description, kind+" is ") {
			t.Errorf("%s must be explained by a sentence about it, not %q", kind, schema.Description)
		}
		walk(kind, schema, func(path, name string, field apiextensionsv1.JSONSchemaProps) {
			switch path {
			case kind + ".apiVersion", kind + ".kind", kind + ".metadata":
				return // Kubernetes explains them
			}
			if first, _, _ := strings.Cut(field.Description, " "); strings.TrimRight(first, ":,") != name {
				t.Errorf("%s must be explained by a sentence that starts with %q, not %q", path, name, field.Description)
			}
		})
	}
}

// A field that is not bounded can fill etcd, and cannot be the subject of a rule within the API server's budget.
func TestEveryFieldIsBounded(t *testing.T) {
	for kind, schema := range schemas(t) {
		walk(kind, schema, func(path, _ string, field apiextensionsv1.JSONSchemaProps) {
			switch {
			case strings.HasPrefix(path, kind+".apiVersion"), strings.HasPrefix(path, kind+".kind"),
				strings.HasPrefix(path, "Marketplace.spec.application.namespaceSelector."):
				return // Kubernetes' own types
			}
			if !bounded(field) {
				t.Errorf("%s must be bounded", path)
			}
			if field.Items != nil && !bounded(*field.Items.Schema) {
				t.Errorf("the elements of %s must be bounded", path)
			}
			if values := field.AdditionalProperties; values != nil && !bounded(*values.Schema) {
				t.Errorf("the values of %s must be bounded", path)
			}
		})
	}
}

func bounded(field apiextensionsv1.JSONSchemaProps) bool {
	switch field.Type {
	case "string":
		return field.MaxLength != nil || len(field.Enum) > 0 || field.Format == "date-time"
	case "integer":
		return field.Minimum != nil
	case "array":
		return field.MaxItems != nil
	case "object":
		return field.AdditionalProperties == nil || field.MaxProperties != nil
	}
	return true
}
