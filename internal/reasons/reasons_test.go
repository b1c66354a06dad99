package reasons_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// declared are the values of the constants Reason… of the API, by name.
func declared(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if constant, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(constant.Names[0].Name, "Reason") {
			value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[constant.Names[0].Name] = value
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %v are found", found)
	}
	return found
}

func TestEveryReasonHasARow(t *testing.T) {
	for name, reason := range declared(t) {
		meaning := reasons.Of(reason)
		if meaning.Actor == reasons.UnknownActor || meaning.Cure == reasons.UnknownCure {
			t.Errorf("%s has no row that says who must act and what cures it", name)
		}
		if meaning.Alert == reasons.UnknownAlert {
			t.Errorf("%s has neither an alert nor NoAlert", name)
		}
	}
	if all := reasons.Where(func(reasons.Meaning) bool { return true }); len(all) != len(declared(t)) || !slices.IsSorted(all) {
		t.Errorf("all reasons are %v", all)
	}
}

func TestReasonOfALaterVersionIsAnOrdinaryFailure(t *testing.T) {
	if got := reasons.Of("OfALaterVersion"); got != (reasons.Meaning{}) {
		t.Errorf("it means %+v", got)
	}
}

// The columns of a row do not contradict each other.
func TestRowsAgreeWithThemselves(t *testing.T) {
	implies := func(premise, conclusion bool) bool { return !premise || conclusion }
	for _, reason := range declared(t) {
		m := reasons.Of(reason)
		passes := m.Cure == reasons.NoCure || m.Cure == reasons.Time
		person := m.Cure == reasons.SignIn || m.Cure == reasons.Password || m.Cure == reasons.Portal
		for rule, holds := range map[string]bool{
			"what passes is up to nobody in the cluster":                   passes == (m.Actor == reasons.Nobody || m.Actor == reasons.Marketplace),
			"only what is in order needs no cure":                          (m.Cure == reasons.NoCure) == (m.Severity == reasons.Fine || m.Severity == reasons.Absent),
			"ReauthRequired is what a person cures, but for a warning":     m.ReauthRequired == (person && m.Severity == reasons.Problem),
			"a missing sign-in is cured by one":                            implies(m.AwaitsSignIn, m.Cure == reasons.SignIn && m.ReauthRequired && m.Subject == reasons.Consent),
			"a grant that has ended is replaced by a sign-in":              implies(m.EndsGrant, m.Cure == reasons.SignIn && m.ReauthRequired),
			"what is tried again passes":                                   implies(m.BacksOff, m.Cure == reasons.Time && m.Ending == reasons.ByItself && m.AllowsCode),
			"Stalled is not a thing that time cures":                       implies(m.Ending == reasons.ByChange, m.Cure == reasons.Change || m.Cure == reasons.Resume),
			"a warning is no trouble, but for the wrong seller":            implies(m.Severity == reasons.Warning && m.Authenticated != "", m.Warns),
			"True speaks of a grant that works":                            (m.Authenticated == metav1.ConditionTrue) == (m.Severity == reasons.Fine || m.Warns && m.Severity == reasons.Warning),
			"only what is in order, or a warning, or wanted, has no alert": implies(m.Alert == reasons.NoAlert, m.Severity != reasons.Problem),
			"what a person must do has an alert":                           implies(m.ReauthRequired, m.Alert != reasons.NoAlert),
			"a refusal that ignores requests speaks of its subject":        implies(m.IgnoresRequests, m.Subject != reasons.Request && m.ReauthRequired),
		} {
			if !holds {
				t.Errorf("%s: not so that %s: %+v", reason, rule, m)
			}
		}
	}
}

// reference is the page that tells users what the table tells the operator.
func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/marketplaceaccount.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReferenceSaysWhoActs(t *testing.T) {
	party := map[reasons.Actor][]string{
		reasons.Nobody:      {"nobody"},
		reasons.Shop:        {"the shop"},
		reasons.Author:      {"the author", "the owner"},
		reasons.Admin:       {"the cluster admin"},
		reasons.Marketplace: {"the marketplace"},
	}
	page := reference(t)
	for _, reason := range declared(t) {
		row := regexp.MustCompile("(?m)^\\| `" + reason + "` \\| [^|]+ \\| ([^|]+) \\|[^|]*\\|$").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("%s has no row", reason)
			continue
		}
		if !slices.ContainsFunc(party[reasons.Of(reason).Actor], func(name string) bool { return strings.HasPrefix(row[1], name) }) {
			t.Errorf("%s: the page says that %s acts, the table %q", reason, row[1], party[reasons.Of(reason).Actor])
		}
	}
}

func TestReferenceNamesTheReasonsOfEachStatus(t *testing.T) {
	page := reference(t)
	listed := func(condition string, status metav1.ConditionStatus) []string {
		_, section, found := strings.Cut(page, "\n#### "+condition+"\n")
		row := regexp.MustCompile("(?m)^\\| `" + string(status) + "` \\| (.+) \\|$").FindStringSubmatch(section)
		if !found || row == nil {
			t.Fatalf("%s has no row for %s", condition, status)
		}
		var named []string
		for _, match := range regexp.MustCompile("`([A-Z]\\w+)`").FindAllStringSubmatch(row[1], -1) {
			named = append(named, match[1])
		}
		return named
	}
	for _, reason := range declared(t) {
		meaning := reasons.Of(reason)
		if status := meaning.Authenticated; status != "" && !slices.Contains(listed("Authenticated", status), reason) {
			t.Errorf("Authenticated: %s is not among the reasons of %s", reason, status)
		}
		if meaning.Warns && !slices.Contains(listed("Authenticated", metav1.ConditionTrue), reason) {
			t.Errorf("Authenticated: %s is not among the reasons of True", reason)
		}
		if required := slices.Contains(listed("ReauthRequired", metav1.ConditionTrue), reason); required != meaning.ReauthRequired {
			t.Errorf("ReauthRequired: the page says %t of %s", required, reason)
		}
	}
}
