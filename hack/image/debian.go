package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ulikunitz/xz"
)

// pins are the packages, one in a line: the SHA-256 of the file, and its path in the archive.
//
//go:embed debian.txt
var pins string

// maxPackage bounds the bytes that are read of a package, compressed or not.
const maxPackage = 64 << 20

// mirrors are asked one after the other. The first drops a package when a point release brings a newer one, the second
// keeps what it ever had.
var mirrors = []string{
	"https://deb.debian.org/debian/",
	"https://snapshot.debian.org/archive/debian/20261125T000000Z/",
}

// debianPackage is a file of Debian's archive.
type debianPackage struct{ sha256, path string }

// name is that of the package.
func (p debianPackage) name() string {
	name, _, _ := strings.Cut(path.Base(p.path), "_")
	return name
}

// version is that of the package.
func (p debianPackage) version() string {
	fields := strings.Split(path.Base(p.path), "_")
	return fields[1]
}

// pinned reads the pins.
func pinned() ([]debianPackage, error) {
	var packages []debianPackage
	for line := range strings.Lines(pins) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		sum, file, ok := strings.Cut(line, "  ")
		if !ok || len(sum) != 2*sha256.Size || strings.Count(path.Base(file), "_") != 2 {
			return nil, fmt.Errorf("debian.txt: %q is no SHA-256 and file of a package", line)
		}
		packages = append(packages, debianPackage{sha256: sum, path: file})
	}
	return packages, nil
}

// fetch returns the file of a package: the one in the cache, else what a mirror has.
func (p debianPackage) fetch(ctx context.Context, cache string) ([]byte, error) {
	kept := filepath.Join(cache, path.Base(p.path))
	if file, err := os.ReadFile(kept); err == nil && p.check(file) == nil {
		return file, nil
	}
	var failures []error
	for _, mirror := range mirrors {
		file, err := download(ctx, mirror+p.path)
		if err == nil {
			err = p.check(file)
		}
		if err == nil {
			return file, keep(kept, file)
		}
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("no mirror has %s as it is pinned in hack/image/debian.txt; put %s's present version there: %w",
		path.Base(p.path), p.name(), errors.Join(failures...))
}

// check compares a file with its pin.
func (p debianPackage) check(file []byte) error {
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != p.sha256 {
		return fmt.Errorf("%s has SHA-256 %x, want %s", path.Base(p.path), sum, p.sha256)
	}
	return nil
}

// keep writes a file into the cache, under its name once it is whole.
func keep(name string, file []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	unfinished, err := os.CreateTemp(filepath.Dir(name), ".unfinished-")
	if err != nil {
		return err
	}
	_, err = unfinished.Write(file)
	if err = errors.Join(err, unfinished.Close()); err != nil {
		return err
	}
	return os.Rename(unfinished.Name(), name)
}

func download(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxPackage))
}

// files returns the regular files of a package by their path without a slash at the beginning.
func files(deb []byte) (map[string][]byte, error) {
	compressed, err := member(deb, "data.tar.xz")
	if err != nil {
		return nil, err
	}
	plain, err := xz.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("reading data.tar.xz: %w", err)
	}
	return untar(io.LimitReader(plain, maxPackage))
}

// untar reads files and hard links; zoneinfo is full of links, whose content is what counts.
func untar(from io.Reader) (map[string][]byte, error) {
	content, links := map[string][]byte{}, map[string]string{}
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading data.tar: %w", err)
		}
		name := path.Clean(header.Name)
		switch header.Typeflag {
		case tar.TypeReg:
			if content[name], err = io.ReadAll(archive); err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
		case tar.TypeLink:
			links[name] = path.Clean(header.Linkname)
		case tar.TypeSymlink:
			links[name] = path.Join(path.Dir(name), header.Linkname)
		}
	}
	for name, target := range links {
		for hops := 0; links[target] != "" && hops < len(links); hops++ {
			target = links[target]
		}
		if text, ok := content[target]; ok {
			content[name] = text
		}
	}
	return content, nil
}

// member returns one file of an ar archive, which a Debian package is: a magic line, and for each member a header of 60
// bytes with the name in the first 16 and the size in the ten from 48 on.
func member(archive []byte, name string) ([]byte, error) {
	const magic, header = "!<arch>\n", 60
	rest, ok := bytes.CutPrefix(archive, []byte(magic))
	if !ok {
		return nil, errors.New("this is no Debian package")
	}
	for len(rest) >= header {
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || size < 0 || size > len(rest)-header {
			return nil, errors.New("the package is damaged")
		}
		if found := strings.TrimRight(string(rest[:16]), " /"); found == name {
			return rest[header : header+size], nil
		}
		rest = rest[min(len(rest), header+size+size%2):]
	}
	return nil, fmt.Errorf("the package has no %s", name)
}
