package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// fieldOwner is the name under which manifests are applied.
const fieldOwner = client.FieldOwner("quickstart")

// kindAccount is the kind of our accounts.
const kindAccount = "MarketplaceAccount"

// manifest is one object of a file.
type manifest struct {
	file   string
	object *unstructured.Unstructured
}

// String names the object and where it is written.
func (m manifest) String() string {
	name := strings.TrimPrefix(m.object.GetNamespace()+"/"+m.object.GetName(), "/")
	return fmt.Sprintf("%s %s (%s)", m.object.GetKind(), name, m.file)
}

// loadManifests reads a file, or all YAML files of a folder but kustomization.yaml, in the order in which the objects
// should be applied.
func loadManifests(files fs.FS, place string) ([]manifest, error) {
	var manifests []manifest
	err := fs.WalkDir(files, place, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isManifest(file) {
			return err
		}
		content, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		objects, err := decode(content)
		if err != nil {
			return fmt.Errorf("decoding %s: %w", file, err)
		}
		for _, object := range objects {
			manifests = append(manifests, manifest{file, object})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", place, err)
	case len(manifests) == 0:
		return nil, fmt.Errorf("reading %s: no manifest found", place)
	}
	slices.SortStableFunc(manifests, func(a, b manifest) int { return cmp.Compare(a.rank(), b.rank()) })
	return manifests, nil
}

func isManifest(file string) bool {
	extension := path.Ext(file)
	return (extension == ".yaml" || extension == ".yml") && strings.TrimSuffix(path.Base(file), extension) != "kustomization"
}

// rank orders objects: namespaces first, since other objects live there, and accounts last, when all that they name is there.
func (m manifest) rank() int {
	switch m.object.GetKind() {
	case "Namespace":
		return 0
	case kindAccount:
		return 2
	}
	return 1
}

// decode reads the documents of a file. Empty ones do not count.
func decode(content []byte) ([]*unstructured.Unstructured, error) {
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
	var objects []*unstructured.Unstructured
	for {
		var document runtime.RawExtension
		switch err := documents.Decode(&document); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(document.Raw) == 0 || bytes.Equal(document.Raw, []byte("null")):
			continue
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(document.Raw); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// redirect points the URLs of a Marketplace at the demo marketplace, and leaves other objects alone.
func redirect(object *unstructured.Unstructured, url string) error {
	if object.GetKind() != "Marketplace" {
		return nil
	}
	var marketplace v1alpha1.Marketplace
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &marketplace, true); err != nil {
		return err
	}
	demomarket.RedirectManifest(&marketplace, url)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&marketplace)
	if err != nil {
		return err
	}
	object.Object = content
	return nil
}

// apply applies the objects one after the other.
func apply(ctx context.Context, kube client.Client, manifests []manifest) error {
	for _, m := range manifests {
		applied := client.ApplyConfigurationFromUnstructured(m.object.DeepCopy())
		if err := kube.Apply(ctx, applied, fieldOwner, client.ForceOwnership); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("applying %s: %w", m, err)
		}
	}
	return nil
}

// accountsIn names the accounts among the objects.
func accountsIn(manifests []manifest) []types.NamespacedName {
	var names []types.NamespacedName
	for _, m := range manifests {
		if m.object.GetKind() == kindAccount {
			names = append(names, client.ObjectKeyFromObject(m.object))
		}
	}
	return names
}
