package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// base is the address of the marketplace as its applications know it.
func (o options) base(listening net.Addr) string {
	switch {
	case o.url != "":
		return o.url
	case o.certFile != "":
		return "https://" + listening.String()
	default:
		return "http://" + listening.String()
	}
}

// printManifests prints the Marketplaces of a directory, with every address at a demo marketplace instead of the platform.
func printManifests(out io.Writer, directory fs.FS, base string) error {
	names, err := fs.Glob(directory, "*.yaml")
	if err != nil {
		return err
	}
	printed := 0
	for _, name := range names {
		text, err := fs.ReadFile(directory, name)
		if err != nil {
			return fmt.Errorf("reading manifests: %w", err)
		}
		var marketplace v1alpha1.Marketplace
		if err := yaml.Unmarshal(text, &marketplace); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if marketplace.Kind != "Marketplace" {
			continue
		}
		demomarket.RedirectManifest(&marketplace, base)
		if text, err = yaml.Marshal(marketplace); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if _, err := fmt.Fprintf(out, "---\n%s", text); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		printed++
	}
	if printed == 0 {
		return fmt.Errorf("reading manifests: there is no Marketplace in that directory")
	}
	return nil
}
