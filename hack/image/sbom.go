package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// completeSBOMs adds Debian's packages, of which ko knows nothing, to the SBOM of every image.
func completeSBOMs(directory string, packages []debianPackage) error {
	names, err := filepath.Glob(filepath.Join(directory, "*.spdx.json"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "-index.spdx.json") {
			continue // lists the images of the platforms
		}
		if err := completeSBOM(name, packages); err != nil {
			return fmt.Errorf("completing %s: %w", name, err)
		}
	}
	return nil
}

func completeSBOM(name string, packages []debianPackage) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	listed, _ := document["packages"].([]any)
	relations, _ := document["relationships"].([]any)
	if len(listed) == 0 || len(relations) == 0 {
		return fmt.Errorf("it has %d packages and %d relationships", len(listed), len(relations))
	}
	image := listed[0].(map[string]any)["SPDXID"]
	for _, p := range packages {
		id := "SPDXRef-Package-deb-" + p.name()
		listed = append(listed, map[string]any{
			"SPDXID": id, "name": p.name(), "versionInfo": p.version(), "filesAnalyzed": false,
			"supplier":         "Organization: Debian",
			"downloadLocation": mirrors[len(mirrors)-1] + p.path,
			"licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
			"checksums": []any{map[string]any{"algorithm": "SHA256", "checksumValue": p.sha256}},
			"externalRefs": []any{map[string]any{
				"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
				"referenceLocator": "pkg:deb/debian/" + p.name() + "@" + url.PathEscape(p.version()) + "?arch=all&distro=debian-13",
			}},
		})
		relations = append(relations, map[string]any{
			"spdxElementId": image, "relationshipType": "CONTAINS", "relatedSpdxElement": id,
		})
	}
	document["packages"], document["relationships"] = listed, relations
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}
