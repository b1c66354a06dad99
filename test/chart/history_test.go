package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// earlier is the commit from which an upgrade begins, and to which a downgrade leads: the first that has a chart and reads grant Secrets of format 1,
// which is today's. With the first release it becomes the last one.
const earlier = "f2d743bd5820668953eca67930f001f2f625dc53"

// version is a commit of the history: its charts, and its operator.
type version struct {
	operator, marketplaces string
	program                string
}

// versionAt builds the operator of a commit, and takes its charts. The program stays beside its sources, where Go finds that it need not be linked anew; a
// story gets a copy, which it may link to.
func versionAt(t *testing.T, commit string) version {
	t.Helper()
	folder, err := checkout(commit)
	if err != nil {
		t.Fatal(err)
	}
	v := version{
		operator: filepath.Join(folder, "charts", "tokenkeeper"), marketplaces: filepath.Join(folder, "charts", "tokenkeeper-marketplaces"),
		program: filepath.Join(t.TempDir(), "operator"),
	}
	built := filepath.Join(folder, "operator")
	if err := buildOperator(folder, "./test/chaos/operator", built); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.program, program, 0o700); err != nil {
		t.Fatal(err)
	}
	return v
}

// checkout puts the tree of a commit into the user's cache, and returns its folder. A folder of its own each time would have Go build everything anew.
func checkout(commit string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "tokenkeeper", "history", commit)
	if exists(folder) {
		return folder, nil
	}
	sources, err := archived()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(folder), ".unfinished-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	if err := extract(sources, unfinished); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, folder); err != nil && !exists(folder) { // another run may have been faster
		return "", err
	}
	return folder, nil
}

// archived is a tar archive of what the operator and the charts of earlier are made from. It is kept beside the test, since a source archive and a
// shallow clone have no history.
func archived() ([]byte, error) {
	packed, err := os.Open(filepath.Join("testdata", "earlier.tar.gz"))
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacked)
}

// extract writes the files of a tar archive into a folder.
func extract(archive []byte, folder string) error {
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.Clean("/"+header.Name))
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o700)
		case tar.TypeReg:
			var text []byte
			if text, err = io.ReadAll(reader); err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
		}
		if err != nil {
			return err
		}
	}
}

// TestTheEarlierVersionIsThatOfTheHistory holds the archive against the commit, where the checkout has its history.
func TestTheEarlierVersionIsThatOfTheHistory(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", earlier).Run(); err != nil {
		t.Skipf("this checkout does not have commit %s; a clone with its history does", earlier)
	}
	history, err := exec.CommandContext(t.Context(), "git", "-C", root, "archive", "--format=tar", earlier).Output()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := archived()
	if err != nil {
		t.Fatal(err)
	}
	original, files := filesOf(t, history), filesOf(t, kept)
	for name, text := range files {
		if !bytes.Equal(original[name], text) {
			t.Errorf("%s is not that of the commit", name)
		}
	}
	if len(files) < 100 {
		t.Errorf("the archive holds %d files", len(files))
	}
}

// filesOf reads a tar archive.
func filesOf(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
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
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}
