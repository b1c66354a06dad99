package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the one that the programs run as: a number, so that Kubernetes can tell that it is not root.
const user = "65532:65532"

// accounts are the files in which a program finds its own name.
var accounts = map[string][]byte{
	"etc/passwd": []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"),
	"etc/group":  []byte("root:x:0:\nnonroot:x:65532:\n"),
}

// baseImage makes the image that the programs are put on, for each platform: certificate authorities, time zones and
// accounts, and nothing that could be run.
func baseImage(ctx context.Context, cache string, platforms []v1.Platform) (v1.ImageIndex, []debianPackage, error) {
	packages, err := pinned()
	if err != nil {
		return nil, nil, err
	}
	content := maps.Clone(accounts)
	for _, p := range packages {
		deb, err := p.fetch(ctx, cache)
		if err != nil {
			return nil, nil, err
		}
		all, err := files(deb)
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", p.path, err)
		}
		maps.Copy(content, choose(p, all))
	}
	layer, err := layerOf(content)
	if err != nil {
		return nil, nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		image, err := imageOf(layer, platform)
		if err != nil {
			return nil, nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	return index, packages, nil
}

// choose takes from a package what the image holds: the bundle that update-ca-certificates would make, the time zones,
// the licences, and the entry by which scanners find out about the package.
func choose(p debianPackage, all map[string][]byte) map[string][]byte {
	const authorities, zones = "usr/share/ca-certificates/", "usr/share/zoneinfo/"
	chosen := map[string][]byte{
		"var/lib/dpkg/status.d/" + p.name(): fmt.Appendf(nil,
			"Package: %s\nStatus: install ok installed\nArchitecture: all\nVersion: %s\nMaintainer: Debian\nDescription: %[1]s\n",
			p.name(), p.version()),
	}
	var bundle []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch {
		case strings.HasPrefix(name, authorities) && path.Ext(name) == ".crt":
			bundle = append(bundle, bytes.TrimSpace(all[name])...)
			bundle = append(bundle, '\n')
		case strings.HasPrefix(name, zones), name == "usr/share/doc/"+p.name()+"/copyright":
			chosen[name] = all[name]
		}
	}
	if bundle != nil {
		chosen["etc/ssl/certs/ca-certificates.crt"] = bundle
	}
	return chosen
}

// layerOf packs files, always in the same bytes: in order, and without a time or an owner.
func layerOf(content map[string][]byte) (v1.Layer, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		for _, directory := range parents(name) {
			if !made[directory] {
				made[directory] = true
				header := tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: 0o755, ModTime: time.Unix(0, 0)}
				if err := archive.WriteHeader(&header); err != nil {
					return nil, err
				}
			}
		}
		header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content[name])), ModTime: time.Unix(0, 0)}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(content[name]); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

// parents are the directories that hold a file, the outermost first.
func parents(name string) []string {
	var all []string
	for directory := path.Dir(name); directory != "."; directory = path.Dir(directory) {
		all = append(all, directory)
	}
	slices.Reverse(all)
	return all
}

// imageOf is the base for one platform.
func imageOf(layer v1.Layer, platform v1.Platform) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{CreatedBy: "hack/image", Comment: "certificate authorities, time zones and accounts"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Config.User = user
	config.Config.WorkingDir = "/"
	config.Config.Env = []string{"PATH=/"}
	return mutate.ConfigFile(image, config)
}
