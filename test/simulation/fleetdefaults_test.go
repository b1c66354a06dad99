package simulation_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// definition is the schema of a kind, as it is installed.
func definition(of kind) *apiextensionsv1.JSONSchemaProps {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "tokenkeeper.dev_"+string(of)+".yaml"))
	if err != nil {
		panic(err)
	}
	var made apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &made); err != nil {
		panic(err)
	}
	return made.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// fillIn fills in the defaults of a definition, as an API server does.
func fillIn(object client.Object, schema *apiextensionsv1.JSONSchemaProps) {
	document, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var members map[string]any
	if err := json.Unmarshal(document, &members); err != nil {
		panic(err)
	}
	withDefaults(members, schema)
	if document, err = json.Marshal(members); err != nil {
		panic(err)
	}
	if err := json.Unmarshal(document, object); err != nil {
		panic(err)
	}
}

func withDefaults(value any, schema *apiextensionsv1.JSONSchemaProps) {
	switch held := value.(type) {
	case map[string]any:
		for name, of := range maps.All(schema.Properties) {
			if _, told := held[name]; !told && of.Default != nil {
				var filled any
				if err := json.Unmarshal(of.Default.Raw, &filled); err != nil {
					panic(err)
				}
				held[name] = filled
			}
			withDefaults(held[name], &of)
		}
	case []any:
		for _, item := range held {
			withDefaults(item, schema.Items.Schema)
		}
	}
}
