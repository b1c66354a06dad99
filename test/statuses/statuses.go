// Package statuses has accounts as the operator leaves them in each state that docs/who-acts.md speaks of. The suite of internal/controller
// records them, from real stories, and tells when they differ from the operator's own. The tests of other packages judge by them: alerts, the
// portal, the health checks of GitOps tools.
package statuses

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Row is the row of a status on that page.
type Row struct {
	// The one to act, such as "the shop", and how soon.
	Who, Soon string
	// Alerts fire, such as "PersonRequired critical".
	Alerts []string
	// Portal is how urgent the account looks there: act, soon, trouble, wait, warn or fine.
	Portal string
	// Argo is the health that Argo CD shows, Flux the result of the check by Flux.
	Argo, Flux string
}

var line = regexp.MustCompile(`(?m)^\| .* \[([a-z0-9-]+)\]\(\.\./test/statuses/[a-z0-9-]+\.yaml\) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)

// Table reads the page below the root of the repository, by the names of the statuses.
func Table(t *testing.T, root string) map[string]Row {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "who-acts.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Row{}
	for _, found := range line.FindAllStringSubmatch(string(page), -1) {
		row := Row{Who: found[2], Soon: found[3], Portal: found[5], Argo: found[6], Flux: found[7]}
		if found[4] != "none" {
			for alert := range strings.SplitSeq(found[4], ", ") {
				row.Alerts = append(row.Alerts, strings.ReplaceAll(alert, "`", ""))
			}
		}
		rows[found[1]] = row
	}
	if len(rows) < 40 {
		t.Fatalf("docs/who-acts.md has %d rows that can be read, want 40 at least", len(rows))
	}
	return rows
}

// Read returns a recorded account.
func Read(t *testing.T, root, name string) *v1alpha1.MarketplaceAccount {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "test", "statuses", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	account := &v1alpha1.MarketplaceAccount{}
	if err := yaml.UnmarshalStrict(text, account); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return account
}
