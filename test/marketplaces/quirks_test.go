package marketplaces_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestAChangedQuirkBreaksItsPlatformAlone changes a field in each manifest in turn: its own exchanges fail, and no other's do.
func TestAChangedQuirkBreaksItsPlatformAlone(t *testing.T) {
	schema := schema(t)
	objects := map[string]*v1alpha1.Marketplace{}
	for name, manifest := range manifests(t) {
		object, err := typed(stored(schema, manifest))
		if err != nil {
			t.Fatal(err)
		}
		objects[name] = object
	}
	failing := func() (names []string) {
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			m := mutation{files: folder(t, name)}
			if m.fails(t.Context(), objects[name]) {
				names = append(names, name)
			}
		}
		return names
	}
	if names := failing(); len(names) > 0 {
		t.Fatalf("the exchanges of %v fail as it is", names)
	}
	for name, object := range objects {
		changed := object.DeepCopy()
		request := &changed.Spec.TokenRequest
		if request.ClientAuthentication == v1alpha1.ClientAuthenticationBody {
			request.ClientAuthentication = v1alpha1.ClientAuthenticationBasic
		} else {
			request.ClientAuthentication = v1alpha1.ClientAuthenticationBody
		}
		objects[name] = changed
		if names := failing(); !slices.Equal(names, []string{name}) {
			t.Errorf("with another way to authenticate at %s the exchanges of %v fail", name, names)
		}
		objects[name] = object
	}
}
