package marketplaces_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// TestEveryFieldIsProved takes one field after the other out of each manifest. An exchange must fail for it. Told apart are those that the
// API server would miss, that say no more than its defaults, and that people alone read.
func TestEveryFieldIsProved(t *testing.T) {
	schema := schema(t)
	for name, manifest := range manifests(t) {
		t.Run(name, func(t *testing.T) {
			m := mutation{schema: schema, manifest: manifest, files: folder(t, name)}
			count := m.run(t)
			t.Logf("%s: %d removals, %d fail an exchange, %d equal a default (%s)", name,
				count.noticed+len(count.defaults), count.noticed, len(count.defaults), strings.Join(count.defaults, ", "))
		})
	}
}

// mutation is a manifest from which fields are taken.
type mutation struct {
	schema   *apiextensionsv1.JSONSchemaProps
	manifest map[string]any
	files    []*exchange.File
}

// removals counts the fields that were taken out, by the outcome.
type removals struct {
	noticed  int
	defaults []string
}

func (m *mutation) run(t *testing.T) removals {
	t.Helper()
	var count removals
	whole := stored(m.schema, m.manifest)
	for _, path := range m.removable() {
		without := copied(m.manifest).(map[string]any)
		remove(without, path)
		mutant := stored(m.schema, without)
		object, err := typed(mutant)
		switch {
		case err != nil:
			t.Fatalf("without %s: %v", path, err)
		case reflect.DeepEqual(compact(mutant), compact(whole)):
			count.defaults = append(count.defaults, path.String())
		case m.fails(t.Context(), object):
			count.noticed++
		default:
			t.Errorf("no exchange fails without %s", path)
		}
	}
	return count
}

// compact leaves out empty values, which say nothing.
func compact(value any) any {
	switch value := value.(type) {
	case map[string]any:
		same := map[string]any{}
		for name, inner := range value {
			if inner = compact(inner); inner != nil {
				same[name] = inner
			}
		}
		if len(same) > 0 {
			return same
		}
		return nil
	case []any:
		if len(value) == 0 {
			return nil
		}
	case string:
		if value == "" {
			return nil
		}
	}
	return value
}

func (m *mutation) fails(ctx context.Context, object *v1alpha1.Marketplace) bool {
	return slices.ContainsFunc(m.files, func(file *exchange.File) bool { return play(ctx, object, file) != nil })
}

// step is one on the way to a value: the name of a member, or the place in a list.
type step struct {
	name string
	at   int
}

type path []step

func (p path) String() string {
	var text strings.Builder
	for _, step := range p {
		if step.name == "" {
			fmt.Fprintf(&text, "[%d]", step.at)
			continue
		}
		text.WriteString("." + step.name)
	}
	return strings.TrimPrefix(text.String(), ".spec.")
}

// forPeople are fields that no request and no answer depends on.
var forPeople = []string{"displayName", "documentationURL", "description"}

// removable are the ways to all values that a Marketplace may lack.
func (m *mutation) removable() []path {
	spec := m.schema.Properties["spec"]
	return removableIn(&spec, m.manifest["spec"], path{{name: "spec"}})
}

func removableIn(schema *apiextensionsv1.JSONSchemaProps, value any, at path) []path {
	var found []path
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner, property := value[name], schema.Properties[name]
			way := append(slices.Clone(at), step{name: name})
			below := removableIn(&property, inner, way)
			if slices.Contains(forPeople, name) {
				continue
			}
			if !slices.Contains(schema.Required, name) && (len(below) == 0 || len(property.Required) > 0) {
				found = append(found, way)
			}
			found = append(found, below...)
		}
	case []any:
		for i, inner := range value {
			way := append(slices.Clone(at), step{at: i})
			if schema.MinItems == nil || int64(len(value)) > *schema.MinItems {
				found = append(found, way)
			}
			found = append(found, removableIn(schema.Items.Schema, inner, way)...)
		}
	}
	return found
}

// remove takes out the value at the end of a way.
func remove(value any, way path) {
	for i, next := range way {
		object, isObject := value.(map[string]any)
		if i == len(way)-1 {
			if isObject {
				delete(object, next.name)
			}
			return
		}
		var inner any
		if isObject {
			inner = object[next.name]
		} else {
			inner = value.([]any)[next.at]
		}
		if list, ok := inner.([]any); ok && i == len(way)-2 { // a list loses an element where it is kept
			object[next.name] = slices.Delete(slices.Clone(list), way[i+1].at, way[i+1].at+1)
			return
		}
		value = inner
	}
}
