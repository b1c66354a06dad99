package chart_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// versionAt builds the operator of a commit, and takes its charts.
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
	if err := buildOperator(folder, "./test/chaos/operator", v.program); err != nil {
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
	sources, err := archiveOf(root, commit)
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

// archiveOf is the tree of a commit as a tar archive. Its error says what to do where the checkout does not have the commit.
func archiveOf(checkout, commit string) ([]byte, error) {
	archive, err := git(checkout, "archive", "--format=tar", commit)
	if err == nil {
		return archive, nil
	}
	cure := "Clone the repository with its history, and test there"
	if shallow, shallowErr := git(checkout, "rev-parse", "--is-shallow-repository"); shallowErr == nil && strings.TrimSpace(string(shallow)) == "true" {
		cure = "This is a shallow clone: fetch the history with \"git fetch --unshallow\" (for actions/checkout: fetch-depth: 0)"
	}
	return nil, fmt.Errorf("an upgrade begins at commit %s, which cannot be read here: %w\n%s. Without it no upgrade is tested", commit, err, cure)
}

func git(checkout string, args ...string) ([]byte, error) {
	var said strings.Builder
	command := exec.Command("git", append([]string{"-C", checkout}, args...)...)
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out, nil
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

// Where the history is missing the story of an upgrade fails, and says how to get it.
func TestAnUpgradeSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	origin, shallow, tarball := t.TempDir(), filepath.Join(t.TempDir(), "shallow"), t.TempDir()
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "--message=one"},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "--message=two"},
		{"clone", "--quiet", "--depth=1", "file://" + origin, shallow},
	} {
		if _, err := git(origin, args...); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range map[string]struct{ checkout, says string }{
		"a shallow clone":  {shallow, "git fetch --unshallow"},
		"another history":  {origin, "Clone the repository with its history"},
		"a source archive": {tarball, "Clone the repository with its history"},
	} {
		if _, err := archiveOf(row.checkout, earlier); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: the error is %v, want one that says %q", name, err, row.says)
		}
	}
}
