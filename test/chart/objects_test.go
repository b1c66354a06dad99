package chart_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// objects are the objects that a chart makes.
type objects []map[string]any

func metadata(object map[string]any) map[string]any {
	found, _ := object["metadata"].(map[string]any)
	return found
}

// id is kind, namespace and name of an object.
func id(object map[string]any) string {
	kind, _ := object["kind"].(string)
	name, _ := metadata(object)["name"].(string)
	if in, ok := metadata(object)["namespace"].(string); ok {
		return kind + " " + in + "/" + name
	}
	return kind + " " + name
}

// ids are the ids of all objects, in order.
func (o objects) ids() []string {
	var all []string
	for _, object := range o {
		all = append(all, id(object))
	}
	slices.Sort(all)
	return all
}

// one is the object of this kind and name.
func (o objects) one(t *testing.T, wanted string) map[string]any {
	t.Helper()
	for _, object := range o {
		if id(object) == wanted {
			return object
		}
	}
	t.Fatalf("there is no %s", wanted)
	return nil
}

// has tells whether there is an object of this kind and name.
func (o objects) has(wanted string) bool {
	return slices.Contains(o.ids(), wanted)
}

// get decodes one object into its type, strictly.
func get[T any](t *testing.T, from objects, wanted string) T {
	t.Helper()
	var typed T
	for _, object := range from {
		if id(object) != wanted {
			continue
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, &typed); err != nil {
			t.Fatalf("%s: %v", wanted, err)
		}
		return typed
	}
	t.Fatalf("there is no %s, only\n%s", wanted, strings.Join(from.ids(), "\n"))
	return typed
}

// config reads manifests of config/.
func config(t *testing.T, path string) objects {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", path))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// names are the files of a folder without their extension, but for the kustomization.
func names(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %d files", pattern, err, len(paths))
	}
	var all []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".yaml"); name != "kustomization" {
			all = append(all, name)
		}
	}
	return all
}
