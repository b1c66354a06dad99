package api_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// tested finds the lines of a page that follow a comment "tested: name".
func tested(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- tested: "+name+" -->\n```sh\n")
	lines, _, ends := strings.Cut(after, "\n```\n")
	if !found || !ends {
		t.Fatalf("%s has no lines with the name %q", page, name)
	}
	return lines
}

// shell runs lines of a page as a cluster admin would, in a folder, and returns their output.
func shell(t *testing.T, folder, lines string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "-euc", lines)
	command.Dir = folder
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig(t), "HOME="+folder,
		"PATH="+os.Getenv("KUBEBUILDER_ASSETS")+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s\n%s", err, lines, out)
	}
	return string(out)
}

// kubeconfig writes the admin's.
func kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, adminKubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reasons are the values of the constants Reason… of the API.
func reasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(node ast.Node) bool {
		if constant, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(constant.Names[0].Name, "Reason") {
			value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, value)
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %q are found", found)
	}
	return found
}

func TestEveryReasonIsDocumented(t *testing.T) {
	for page, row := range map[string]string{
		"troubleshooting.md":              "(?m)^\\| `(\\w+)` \\| [^|]+ \\| `kubectl [^|]+` \\|$",
		"reference/marketplaceaccount.md": "(?m)^\\| `([A-Z]\\w+)` \\| [^|]+ \\| [^|]+ \\|[^|]*\\|$",
	} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../docs", page))
			if err != nil {
				t.Fatal(err)
			}
			var rows []string
			for _, match := range regexp.MustCompile(row).FindAllStringSubmatch(string(text), -1) {
				rows = append(rows, match[1])
			}
			for _, reason := range reasons(t) {
				if !slices.Contains(rows, reason) {
					t.Errorf("reason %s has no row", reason)
				}
			}
		})
	}
}

// The questions of the table to the API server must be questions that it understands.
func TestTroubleshootingCommandsWork(t *testing.T) {
	var failing v1alpha1.MarketplaceAccount
	store(t, with(t, account(t), fields{"metadata.name": "failing"}), &failing)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "failing-token", Namespace: namespace}}
	if err := kube.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kube.Delete(context.Background(), secret); err != nil {
			t.Error(err)
		}
	})
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("-n NS", "-n "+namespace, "NAME", failing.Name, "SECRET", secret.Name)
	asked := map[string]bool{}
	for _, match := range regexp.MustCompile("`(kubectl [^`]+)` \\|\n").FindAllStringSubmatch(string(text), -1) {
		if command := fill.Replace(match[1]); !strings.Contains(command, "deployment tokenkeeper ") { // the Deployment is not installed here
			asked[command] = true
		}
	}
	if len(asked) < 15 {
		t.Fatalf("only %d commands are found", len(asked))
	}
	var lines []string
	for command := range asked {
		lines = append(lines, command)
	}
	slices.Sort(lines)
	shell(t, t.TempDir(), strings.Join(lines, "\n"))
}

// OpenShift's constraint restricted-v2 gives a pod its user and group, and refuses one that chooses them itself.
func TestPodAsksForNothingThatOpenShiftRefuses(t *testing.T) {
	pod := find[appsv1.Deployment](t, kustomize(t, `resources: ["@/default"]`), "Deployment", "tokenkeeper").Spec.Template.Spec
	chosen := pod.SecurityContext
	if chosen.RunAsUser != nil || chosen.RunAsGroup != nil || chosen.FSGroup != nil || len(chosen.SupplementalGroups) > 0 || chosen.SELinuxOptions != nil {
		t.Errorf("the pod chooses %v", chosen)
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod shares namespaces of its node")
	}
	for _, container := range pod.Containers {
		chosen := container.SecurityContext
		if chosen.RunAsUser != nil || chosen.RunAsGroup != nil || chosen.SELinuxOptions != nil || len(chosen.Capabilities.Add) > 0 {
			t.Errorf("container %s chooses %v", container.Name, chosen)
		}
		for _, port := range container.Ports {
			if port.HostPort != 0 {
				t.Errorf("container %s takes port %d of its node", container.Name, port.HostPort)
			}
		}
	}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			t.Errorf("volume %s is of the node", volume.Name)
		}
	}
}
