// Command marketplaces writes the files that list the shipped marketplaces, from the manifests and samples that there are: both kustomizations, and the
// entries in values and schema of charts/tokenkeeper-marketplaces. Everything else in these files stays as it is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const chart = "charts/tokenkeeper-marketplaces/"

// example is the manifest that no cluster wants as it is.
const example = "oidc"

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: marketplaces FOLDER, into which is written")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(into string) error {
	marketplaces, err := stems("config/marketplaces/*.yaml")
	if err != nil {
		return err
	}
	samples, err := stems("config/samples/*.yaml")
	if err != nil {
		return err
	}
	first := []string{"namespace", "shop-clerk"} // the other samples need these
	samples = append(first, slices.DeleteFunc(samples, func(name string) bool { return slices.Contains(first, name) })...)
	for path, change := range map[string]func([]byte) ([]byte, error){
		"config/marketplaces/kustomization.yaml": func(text []byte) ([]byte, error) { return resources(text, marketplaces) },
		"config/samples/kustomization.yaml":      func(text []byte) ([]byte, error) { return resources(text, samples) },
		chart + "values.yaml":                    func(text []byte) ([]byte, error) { return values(text, marketplaces) },
		chart + "values.schema.json":             func(text []byte) ([]byte, error) { return schema(text, marketplaces) },
	} {
		text, err := os.ReadFile(path) //nolint:gosec // a file of the checkout
		if err != nil {
			return err
		}
		changed, err := change(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		to := filepath.Join(into, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a folder of the checkout
			return err
		}
		if err := os.WriteFile(to, changed, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// stems are the names of files without extension, sorted.
func stems(pattern string) ([]string, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".yaml"); name != "kustomization" {
			names = append(names, name)
		}
	}
	return names, nil
}

// resources puts a list in the place of the one that a kustomization ends in.
func resources(text []byte, names []string) ([]byte, error) {
	const key = "resources:\n"
	before, _, ok := bytes.Cut(text, []byte(key))
	if !ok {
		return nil, fmt.Errorf("there is no line %q", key)
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(key)
	for _, name := range names {
		fmt.Fprintf(&out, "- %s.yaml\n", name)
	}
	return out.Bytes(), nil
}

// The lines between which the values have an entry for each marketplace.
const (
	begin = "# Entries, written by \"make generate\":\n"
	end   = "# On every Marketplace.\n"
)

// values puts entries in the place of the present ones.
func values(text []byte, names []string) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, also := bytes.Cut(rest, []byte(end))
	if !ok || !also {
		return nil, fmt.Errorf("there must be lines %q and %q", begin, end)
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(begin)
	for _, name := range names {
		comment := ""
		if name == example {
			comment = "# An example to copy, at a host that does not exist.\n"
		}
		fmt.Fprintf(&out, "\n%s%s:\n  enabled: %t\n  overrides: {}\n", comment, name, name != example)
	}
	out.WriteString("\n" + end)
	out.Write(after)
	return out.Bytes(), nil
}

// schema puts entries like the first one in the place of the present ones.
func schema(text []byte, names []string) ([]byte, error) {
	var members []member
	var whole struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, err
	}
	entry, ok := whole.Properties[example]
	if !ok {
		return nil, fmt.Errorf("there is no entry %q to go by", example)
	}
	for _, name := range []string{"global", "enabled"} {
		members = append(members, member{name, whole.Properties[name]})
	}
	for _, name := range names {
		members = append(members, member{name, entry})
	}
	for _, name := range []string{"commonLabels", "commonAnnotations"} {
		members = append(members, member{name, whole.Properties[name]})
	}
	var properties bytes.Buffer
	for i, m := range members {
		if i > 0 {
			properties.WriteByte(',')
		}
		fmt.Fprintf(&properties, "%q:%s", m.name, m.value)
	}
	before, _, ok := bytes.Cut(text, []byte(`"properties": {`))
	if !ok {
		return nil, fmt.Errorf("there are no properties")
	}
	var out bytes.Buffer
	if err := json.Indent(&out, fmt.Appendf(nil, "%s\"properties\":{%s}}", before, properties.Bytes()), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// member is a property in its place.
type member struct {
	name  string
	value json.RawMessage
}
