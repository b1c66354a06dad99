package testworld

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// root is the folder of go.mod, found from the package under test.
var root = sync.OnceValue(func() string {
	folder, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			panic("no go.mod is above the working directory")
		}
		folder = parent
	}
})

// Path is that of a file of the project.
func Path(elements ...string) string { return filepath.Join(append([]string{root()}, elements...)...) }

// Definitions is the folder of the custom resource definitions.
func Definitions() string { return Path("config", "crd", "bases") }

// Shipped reads a Marketplace of config/marketplaces, and puts the demo marketplace at an address in the place of its platform.
func Shipped(name, address string) (*v1alpha1.Marketplace, error) {
	return ShippedFor(name, name, address)
}

// ShippedFor reads a Marketplace of config/marketplaces, and puts another platform of the demo marketplace at an address in the place of its
// own. The Marketplace is called as that platform is.
func ShippedFor(platform, name, address string) (*v1alpha1.Marketplace, error) {
	text, err := os.ReadFile(Path("config", "marketplaces", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading Marketplace %s: %w", name, err)
	}
	marketplace := &v1alpha1.Marketplace{}
	if err := yaml.UnmarshalStrict(text, marketplace); err != nil {
		return nil, fmt.Errorf("reading Marketplace %s: %w", name, err)
	}
	marketplace.Name = platform
	demomarket.RedirectManifest(marketplace, address)
	return marketplace, nil
}
