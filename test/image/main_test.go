// Package image_test makes an image as "make image" does, twice and in two folders (once in the short form), and looks into it. By default it is that
// of the demo marketplace, whose programs are built fast; with -image.all it is the operator's as well.
package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root = "../.."

	version = "v1.2.3"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	date    = "2026-11-29T12:34:56Z"
)

var (
	all = flag.Bool("image.all", false, "make the operator's image as well, which takes minutes the first time")

	// programs are the programs that images are made of, and first and second the folders that hold them.
	programs      = []string{"demo-marketplace"}
	first, second string
	// source is a copy of the sources that are built, without version control.
	source string
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *all {
		programs = append(programs, "tokenkeeper")
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	directory, err := os.MkdirTemp("", "tokenkeeper-images-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	here, err := filepath.Abs(root)
	if err != nil {
		return 1, err
	}
	source = filepath.Join(directory, "elsewhere", "source")
	for _, part := range []string{"api", "cmd", "internal", "hack/image", "charts/tokenkeeper", "test/marketplaces"} {
		if err := os.CopyFS(filepath.Join(source, part), os.DirFS(filepath.Join(root, part))); err != nil {
			return 1, err
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return 1, err
		}
		if err := os.WriteFile(filepath.Join(source, file), text, 0o600); err != nil {
			return 1, err
		}
	}
	first, second = filepath.Join(directory, "first"), filepath.Join(directory, "second")
	commands := make([]string, 0, len(programs))
	for _, program := range programs {
		commands = append(commands, "./cmd/"+program)
	}
	images := "IMAGES=" + strings.Join(commands, " ")
	checkouts := map[string]string{here: first}
	if !testing.Short() {
		checkouts[source] = second
	}
	for checkout, dist := range checkouts {
		if err := callMake(checkout, "image", "DIST="+dist, images); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// callMake runs a target of the Makefile as for one commit.
func callMake(checkout string, args ...string) error {
	command := exec.CommandContext(context.Background(), "make", append([]string{"VERSION=" + version, "COMMIT=" + commit, "DATE=" + date}, args...)...)
	command.Dir = checkout
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { // the variables of the make that runs this test
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make %s in %s: %w\n%s", args[0], checkout, err, out)
	}
	return nil
}

// descriptor is how a manifest names a blob.
type descriptor struct {
	Digest   string
	Platform struct{ OS, Architecture string }
}

// image is one for one platform.
type image struct {
	platform string
	config   struct {
		Created      string
		OS           string
		Architecture string
		Config       struct {
			User       string
			Entrypoint []string
			Labels     map[string]string
		}
	}
	// files are its files.
	files map[string][]byte
}

// archive holds the files of an OCI archive.
type archive map[string][]byte

func open(t *testing.T, dist, program string) archive {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dist, program+".tar"))
	if err != nil {
		t.Fatal(err)
	}
	return untar(t, bytes.NewReader(text))
}

func untar(t *testing.T, from io.Reader) archive {
	t.Helper()
	files := archive{}
	for reader := tar.NewReader(from); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[path.Clean("/"+header.Name)] = text
	}
}

// index is the digest under which the archive names the images of all platforms.
func (a archive) index(t *testing.T) string {
	t.Helper()
	var top struct{ Manifests []descriptor }
	a.decode(t, "/index.json", &top)
	if len(top.Manifests) != 1 {
		t.Fatalf("the archive holds %d images", len(top.Manifests))
	}
	return top.Manifests[0].Digest
}

// images are the images of all platforms.
func (a archive) images(t *testing.T) []image {
	t.Helper()
	var index struct{ Manifests []descriptor }
	a.decode(t, blob(a.index(t)), &index)
	images := make([]image, 0, len(index.Manifests))
	for _, one := range index.Manifests {
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		a.decode(t, blob(one.Digest), &manifest)
		made := image{platform: one.Platform.OS + "/" + one.Platform.Architecture, files: map[string][]byte{}}
		a.decode(t, blob(manifest.Config.Digest), &made.config)
		for _, layer := range manifest.Layers {
			plain, err := gzip.NewReader(bytes.NewReader(a[blob(layer.Digest)]))
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(made.files, untar(t, plain))
		}
		images = append(images, made)
	}
	return images
}

func (a archive) decode(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(a[name], into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func blob(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return "/blobs/" + algorithm + "/" + hex
}
