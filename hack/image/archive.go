package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeArchive writes an index as an OCI image layout in one tar, with the name under which containerd and Docker know
// it once it is loaded.
func writeArchive(file, name, tag string, index v1.ImageIndex) error {
	directory, err := os.MkdirTemp("", "tokenkeeper-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	target, err := layout.Write(directory, empty.Index)
	if err != nil {
		return err
	}
	names := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          name + ":" + tag,
		"org.opencontainers.image.ref.name": tag,
	})
	if err := target.AppendIndex(index, names); err != nil {
		return err
	}
	if err := writeDockerManifest(directory, name+":"+tag, index); err != nil {
		return err
	}
	return pack(directory, file)
}

// writeDockerManifest adds what older versions of "docker load" look for. It can name one platform alone.
func writeDockerManifest(directory, name string, index v1.ImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	read, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }
	entry := map[string]any{"Config": blob(read.Config.Digest), "RepoTags": []string{name}}
	var layers []string
	for _, layer := range read.Layers {
		layers = append(layers, blob(layer.Digest))
	}
	entry["Layers"] = layers
	text, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "manifest.json"), text, 0o644)
}

// pack writes a directory as a tar, always in the same bytes.
func pack(directory, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	root := os.DirFS(directory)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return packFile(archive, root, name)
	})
	if err = errors.Join(err, archive.Close(), out.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

func packFile(archive *tar.Writer, root fs.FS, name string) error {
	from, err := root.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(archive, from)
	return err
}

// indexOf wraps the image of a single platform, for which ko makes no index.
func indexOf(image v1.Image) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: image})
}
