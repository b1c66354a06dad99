package api_test

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

const securityPage = "docs/security.md"

// readers are the columns of the table of rights: the files of the roles that each of them has.
var readers = map[string][]string{
	"viewer":    {"config/rbac/marketplaceaccount_viewer_role.yaml"},
	"editor":    {"config/rbac/marketplaceaccount_editor_role.yaml"},
	"clerk":     {"config/rbac/marketplaceaccount_operator_role.yaml"},
	"catalogue": {"config/rbac/marketplace_viewer_role.yaml"},
	"tenant":    {"config/rbac/marketplaceaccount_editor_role.yaml"}, // and what is aggregated to Kubernetes' own role
	"metrics":   {"config/rbac/metrics_reader_role.yaml"},
	"portal":    {"config/components/portal-apart/role.yaml"},
	"operator":  {"config/rbac/role.yaml"},
}

// TestWhoMayDoWhat asks the API server about each cell of the table of rights.
func TestWhoMayDoWhat(t *testing.T) {
	page, err := os.ReadFile(testworld.Path(securityPage))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Rights\n")
	if !found {
		t.Fatalf("%s has no section Rights", securityPage)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var columns []string
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case len(cells) < 3 || strings.HasPrefix(cells[1], "-"):
		case columns == nil:
			for _, cell := range cells[2 : len(cells)-1] {
				column := strings.TrimSpace(cell)
				if readers[column] == nil {
					t.Fatalf("nobody is called %q", column)
				}
				columns = append(columns, column)
				bind(t, column)
			}
		default:
			rows++
			for i, column := range columns {
				t.Run(column+" "+strings.TrimSpace(cells[1]), func(t *testing.T) {
					checkRight(t, column, cells[1], strings.TrimSpace(cells[i+2]))
				})
			}
		}
	}
	if len(columns) != len(readers) || rows < 12 {
		t.Errorf("the table has %d columns and %d rows", len(columns), rows)
	}
}

// bind gives a user of its own the rights of a reader, in all namespaces.
func bind(t *testing.T, reader string) {
	t.Helper()
	var roles []*rbacv1.ClusterRole
	for _, file := range readers[reader] {
		for _, manifest := range documents(t, testworld.Path(file)) {
			if manifest.GetKind() != "ClusterRole" {
				continue
			}
			role := &rbacv1.ClusterRole{}
			convert(t, manifest.Object, role)
			role.ObjectMeta = metav1.ObjectMeta{Name: "who-may-" + reader, Labels: role.Labels}
			roles = append(roles, role)
		}
	}
	if len(roles) != 1 {
		t.Fatalf("%v hold %d ClusterRoles", readers[reader], len(roles))
	}
	role := roles[0]
	if reader == "tenant" {
		if role.Labels["rbac.authorization.k8s.io/aggregate-to-edit"] != "true" {
			t.Error("the editor's role is not a part of Kubernetes' own role edit")
		}
		role.Rules = append(role.Rules, aggregatedToEdit(t)...)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role.Name}},
	}
	role.Labels = nil
	for _, object := range []client.Object{role, binding} {
		if err := kube.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kube.Delete(context.Background(), object) })
	}
}

// aggregatedToEdit is the role edit of Kubernetes with its aggregated rights: no controller runs here that would write it down there.
func aggregatedToEdit(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, name := range []string{"system:aggregate-to-edit", "system:aggregate-to-view"} {
		role := &rbacv1.ClusterRole{}
		if err := kube.Get(t.Context(), client.ObjectKey{Name: name}, role); err != nil {
			t.Fatal(err)
		}
		rules = append(rules, role.Rules...)
	}
	return rules
}

// request is a right as the table names it: `patch marketplaceaccounts/status`, or `get /metrics`.
var request = regexp.MustCompile("`([a-z]+) (/?)([a-z./]+)`")

// groups are the API groups of the resources that the table names.
var groups = map[string]string{
	"secrets": "", "namespaces": "", "marketplaceaccounts": "tokenkeeper.dev", "marketplaces": "tokenkeeper.dev",
	"tokenreviews": "authentication.k8s.io", "subjectaccessreviews": "authorization.k8s.io", "events": "events.k8s.io",
}

// checkRight holds a cell of the table against the API server's word.
func checkRight(t *testing.T, reader, row, cell string) {
	t.Helper()
	named := request.FindAllStringSubmatch(row, -1)
	if len(named) == 0 || cell != "yes" && cell != "" {
		t.Fatalf("the row %q and its cell %q cannot be read", row, cell)
	}
	for _, right := range named {
		verb, path, what := right[1], right[2] != "", right[3]
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "who-may-" + reader}}
		if path {
			review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: verb, Path: "/" + what}
		} else {
			resource, subresource, _ := strings.Cut(what, "/")
			group, known := groups[resource]
			if !known {
				t.Fatalf("no resource is called %q", resource)
			}
			review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
				Namespace: namespace, Group: group, Resource: resource, Subresource: subresource, Verb: verb,
			}
		}
		if err := kube.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if allowed := review.Status.Allowed; allowed != (cell == "yes") {
			t.Errorf("%s %s: the API server says %t, the page %q", verb, what, allowed, cmp.Or(cell, "no"))
		}
	}
}

// TestSecurityPageNamesTestsThatExist keeps the page from promises that no test tries.
func TestSecurityPageNamesTestsThatExist(t *testing.T) {
	known, stories := map[string]bool{}, ""
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, folder := range []string{"internal", "test", "cmd", "hack"} {
		err := filepath.WalkDir(testworld.Path(folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, test := range declared.FindAllStringSubmatch(string(text), -1) {
				known[test[1]] = true
			}
			if strings.HasSuffix(path, filepath.Join("chaos", "main_test.go")) {
				stories = string(text)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(testworld.Path(securityPage))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)(?:/([a-z_]+))?`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, test := range named {
		if !known[test[1]] {
			t.Errorf("there is no test %s", test[1])
		}
		if story := strings.ReplaceAll(test[2], "_", " "); story != "" && !strings.Contains(stories, `"`+story+`"`) {
			t.Errorf("%s has no story %q", test[1], story)
		}
	}
}
