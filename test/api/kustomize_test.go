package api_test

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/internal/operator"
)

// kustomize builds a kustomization with the kubectl of the API server's version. It is written into a folder of its own,
// in which @ stands for config/.
func kustomize(t *testing.T, kustomization string) []*unstructured.Unstructured {
	t.Helper()
	directory, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs("../../config")
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(directory, config)
	if err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + strings.ReplaceAll(kustomization, "@", relative)
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(kubectl); err != nil {
		kubectl = "kubectl" // assets in a directory that was named need not hold it
	}
	command := exec.CommandContext(t.Context(), kubectl, "kustomize", directory)
	var failure strings.Builder
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, failure.String())
	}
	var built []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(string(out)), 4096)
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object); err != nil {
			break // io.EOF
		}
		built = append(built, &object)
	}
	return built
}

// The component for clusters with the Prometheus operator has the rules of the plain file, and a monitor that keeps the accounts' namespaces.
func TestMonitoringIsThatOfThePlainRules(t *testing.T) {
	built := kustomize(t, "resources: [@/default]\ncomponents: [@/components/metrics, @/components/monitoring]")
	text, err := os.ReadFile("../../config/monitoring/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := yaml.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	rule := find[map[string]any](t, built, "PrometheusRule", "tokenkeeper")
	if diff := cmp.Diff(plain, rule["spec"]); diff != "" {
		t.Error(diff)
	}
}

func TestDashboardIsFoundByGrafana(t *testing.T) {
	built := kustomize(t, "resources: [@/default]\ncomponents: [@/components/dashboard]")
	board := find[corev1.ConfigMap](t, built, "ConfigMap", "tokenkeeper-dashboard")
	text, err := os.ReadFile("../../config/components/dashboard/tokenkeeper.json")
	if err != nil || board.Data["tokenkeeper.json"] != string(text) || board.Labels["grafana_dashboard"] != "1" {
		t.Errorf("it has labels %v, and %d of %d bytes (%v)", board.Labels, len(board.Data["tokenkeeper.json"]), len(text), err)
	}
}

// find decodes one of the objects.
func find[T any](t *testing.T, built []*unstructured.Unstructured, kind, name string) T {
	t.Helper()
	var typed T
	for _, object := range built {
		if object.GetKind() == kind && (object.GetName() == name || kind == "ConfigMap" && strings.HasPrefix(object.GetName(), name+"-")) {
			convert(t, object.Object, &typed)
			return typed
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return typed
}

// expand treats the operator's arguments as the kubelet does: it fills in the variables of the container.
func expand(t *testing.T, built []*unstructured.Unstructured) []string {
	t.Helper()
	return expandOf(t, built, "tokenkeeper")
}

func expandOf(t *testing.T, built []*unstructured.Unstructured, deployment string) []string {
	t.Helper()
	container := find[appsv1.Deployment](t, built, "Deployment", deployment).Spec.Template.Spec.Containers[0]
	var replacements []string
	for _, variable := range container.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			flags := find[corev1.ConfigMap](t, built, "ConfigMap", "tokenkeeper")
			found, ok := flags.Data[from.ConfigMapKeyRef.Key]
			if from.ConfigMapKeyRef.Name != flags.Name || !ok {
				t.Errorf("%s comes from %v, and there is %s with %v", variable.Name, from.ConfigMapKeyRef, flags.Name, flags.Data)
			}
			value = found
		}
		replacements = append(replacements, "$("+variable.Name+")", value)
	}
	filled := make([]string, 0, len(container.Args))
	for _, arg := range container.Args {
		filled = append(filled, strings.NewReplacer(replacements...).Replace(arg))
	}
	return filled
}

func TestKustomizeSetsFlagsByTheirNames(t *testing.T) {
	built := kustomize(t, `
resources: ["@/default"]
configMapGenerator:
- name: tokenkeeper
  namespace: tokenkeeper-system
  behavior: merge
  literals: [portal-url=https://tokens.example.com, portal-organisation=Example Ltd, portal-contact=room 7, sign-in-links=Secret, "watch-label-selector=shard in (a, b)"]`)
	args := expand(t, built)
	for _, arg := range []string{
		"--leader-elect", "--portal-url=https://tokens.example.com", "--watch-label-selector=shard in (a, b)", "--watch-namespaces=", "--zap-log-level=info",
		"--portal-organisation=Example Ltd", "--portal-contact=room 7", "--metrics-secure=true", "--require-use-label=true", "--sign-in-links=Secret",
	} {
		if !slices.Contains(args, arg) {
			t.Errorf("the operator gets %q, without %q", args, arg)
		}
	}
	if _, err := operator.Parse(flag.NewFlagSet("tokenkeeper", flag.ContinueOnError), expand(t, kustomize(t, `resources: ["@/default"]`))); err != nil {
		t.Errorf("the operator refuses its flags where none is set: %v", err)
	}
	name := func(literal string) string {
		return find[corev1.ConfigMap](t, kustomize(t, `
resources: ["@/default"]
configMapGenerator: [{name: tokenkeeper, namespace: tokenkeeper-system, behavior: merge, literals: [`+literal+`]}]`), "ConfigMap", "tokenkeeper").Name
	}
	if before, after := name("portal-url=https://a.example"), name("portal-url=https://b.example"); before == after {
		t.Errorf("with another flag the ConfigMap is %s as before: the operator would not start anew", after)
	}
}

// TestTheKeyOfCustodyHasOneName: the Secret, the roles that allow it by name and the flag agree, whatever an installation calls its objects.
func TestTheKeyOfCustodyHasOneName(t *testing.T) {
	const components = "components: [@/components/portal-apart]\n"
	for name, test := range map[string]struct{ kustomization, flag, secret string }{
		"as it is":      {"resources: [@/default]\n" + components, "tokenkeeper-custody-key", "tokenkeeper-custody-key"},
		"with a suffix": {"resources: [@/default]\nnameSuffix: -eu\n" + components, "tokenkeeper-custody-key-eu", "tokenkeeper-custody-key-eu"},
		"with both": {
			"resources: [@/manager, @/rbac]\nnamespace: tokenkeeper-eu\nnamePrefix: a-\nnameSuffix: -eu\n" + components,
			"a-tokenkeeper-custody-key-eu", "a-tokenkeeper-custody-key-eu",
		},
		"in some namespaces, with a suffix": {
			"resources: [@/namespaced]\nnameSuffix: -eu\ncomponents: [@/components/portal-apart, @/components/portal-apart-namespaces]\n",
			"tokenkeeper-custody-key-eu", "tokenkeeper-custody-key-eu",
		},
		"that others have, too": {`
resources: ["@/default"]
nameSuffix: -eu
configMapGenerator: [{name: tokenkeeper, namespace: tokenkeeper-system, behavior: merge, literals: [custody-key-secret=shared]}]
` + components, "shared", "tokenkeeper-custody-key-eu"},
	} {
		t.Run(name, func(t *testing.T) {
			built := kustomize(t, test.kustomization)
			var secrets, allowed, flags []string
			for _, object := range built {
				switch object.GetKind() {
				case "Secret":
					secrets = append(secrets, object.GetName())
				case "ConfigMap":
					flag, _, err := unstructured.NestedString(object.Object, "data", "custody-key-secret")
					if err != nil {
						t.Fatal(err)
					}
					flags = append(flags, flag)
				case "Role":
					var role rbacv1.Role
					convert(t, object.Object, &role)
					for _, rule := range role.Rules {
						for _, named := range rule.ResourceNames {
							if strings.Contains(named, "custody-key") {
								allowed = append(allowed, named)
							}
						}
					}
				}
			}
			if !slices.Equal(flags, []string{test.flag}) || !slices.Equal(secrets, []string{test.secret}) || !slices.Equal(allowed, []string{test.secret, test.secret}) {
				t.Errorf("the flags name %q, the Secrets are %q, and the roles of operator and portal allow %q", flags, secrets, allowed)
			}
		})
	}
}

func TestKustomizeSetsTheImageInOneLine(t *testing.T) {
	built := kustomize(t, `
resources: ["@/default"]
images: [{name: ghcr.io/tokenkeeper/tokenkeeper, newName: registry.example.com/tokenkeeper, newTag: v9}]`)
	container := find[appsv1.Deployment](t, built, "Deployment", "tokenkeeper").Spec.Template.Spec.Containers[0]
	if container.Image != "registry.example.com/tokenkeeper:v9" {
		t.Errorf("the image is %s", container.Image)
	}
}

// elsewhere are kinds of the components that this API server does not have.
var elsewhere = []string{"CustomResourceDefinition", "HTTPRoute", "ServiceMonitor", "PodMonitor", "PrometheusRule"}

func TestComponentsFitTogether(t *testing.T) {
	found, err := filepath.Glob("../../config/components/*")
	if err != nil || len(found) < 5 {
		t.Fatalf("there are %d components, error %v", len(found), err)
	}
	var components strings.Builder
	for _, path := range found {
		components.WriteString("\n- \"@/components/" + filepath.Base(path) + `"`)
	}
	built := kustomize(t, "resources: [\"@/default\"]\ncomponents:"+components.String())
	namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tokenkeeper-system"}}
	if err := client.IgnoreAlreadyExists(kube.Create(t.Context(), &namespace)); err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, object := range built {
		if object.GetKind() == "Namespace" || slices.Contains(elsewhere, object.GetKind()) {
			continue
		}
		if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	if strategy := find[appsv1.Deployment](t, built, "Deployment", "tokenkeeper").Spec.Strategy.Type; strategy != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("the strategy of an operator that keeps some namespaces is %q", strategy)
	}
}

// TestPortalApart: the operator serves no page any more, and the pods of the portal do nothing else, with the same flags.
func TestPortalApart(t *testing.T) {
	built := kustomize(t, `
resources: ["@/default"]
components: ["@/components/portal-apart"]
configMapGenerator:
- name: tokenkeeper
  namespace: tokenkeeper-system
  behavior: merge
  literals: [portal-url=https://tokens.example.com]`)
	for deployment, flags := range map[string][]string{
		"tokenkeeper":        {"--leader-elect", "--portal-bind-address=0", "--portal-url=https://tokens.example.com"},
		"tokenkeeper-portal": {"--portal-only", "--portal-bind-address=:8082", "--portal-url=https://tokens.example.com"},
	} {
		args := expandOf(t, built, deployment)
		for _, arg := range flags {
			if !slices.Contains(args, arg) {
				t.Errorf("%s gets %q, without %q", deployment, args, arg)
			}
		}
		if _, err := operator.Parse(flag.NewFlagSet(deployment, flag.ContinueOnError), args); err != nil {
			t.Errorf("%s refuses its arguments: %v", deployment, err)
		}
	}
	// A flag that one gets and the other does not would have them disagree.
	others := func(deployment string) []string {
		return slices.DeleteFunc(expandOf(t, built, deployment), func(arg string) bool {
			return arg == "--leader-elect" || arg == "--portal-only" || strings.HasPrefix(arg, "--portal-bind-address")
		})
	}
	if diff := cmp.Diff(others("tokenkeeper"), others("tokenkeeper-portal")); diff != "" {
		t.Errorf("their flags differ: %s", diff)
	}
	pages := find[appsv1.Deployment](t, built, "Deployment", "tokenkeeper-portal")
	if service := find[corev1.Service](t, built, "Service", "tokenkeeper-portal"); !cmp.Equal(service.Spec.Selector, pages.Spec.Selector.MatchLabels) {
		t.Errorf("the Service leads to %v", service.Spec.Selector)
	}
	worker := find[appsv1.Deployment](t, built, "Deployment", "tokenkeeper")
	for _, port := range worker.Spec.Template.Spec.Containers[0].Ports {
		if port.Name == "portal" {
			t.Error("the operator's pods have a port for the portal")
		}
	}
	if worker.Spec.Template.Spec.ServiceAccountName == pages.Spec.Template.Spec.ServiceAccountName || cmp.Equal(worker.Spec.Selector, pages.Spec.Selector) {
		t.Errorf("both have ServiceAccount %s, or labels %v", pages.Spec.Template.Spec.ServiceAccountName, pages.Spec.Selector)
	}
}

// TestPortalApartMayDoNoMoreThanTheOperator: its rights are some of the operator's, without those to delete, to make Secrets and to write status; and beside
// an operator of some namespaces the same rights hold in these alone.
func TestPortalApartMayDoNoMoreThanTheOperator(t *testing.T) {
	portal := rights(t, "../../config/components/portal-apart/role.yaml", "ClusterRole")
	whole := rights(t, "../../config/rbac/role.yaml", "ClusterRole")
	for _, right := range portal {
		if !slices.Contains(whole, right) {
			t.Errorf("it may %q, and the operator may not", right)
		}
		if strings.HasPrefix(right, "delete") || strings.Contains(right, "/status") || strings.HasPrefix(right, "create /secrets") {
			t.Errorf("it may %q", right)
		}
	}
	divided := slices.Concat(rights(t, "../../config/components/portal-apart-namespaces/cluster_role.yaml", "ClusterRole"), rights(t, "../../config/namespaced/watched-portal/role.yaml", "Role"))
	slices.Sort(divided)
	if !slices.Equal(divided, portal) {
		t.Errorf("beside an operator of some namespaces it may\n%s\nwant\n%s", strings.Join(divided, "\n"), strings.Join(portal, "\n"))
	}
}

func TestDemoMarketplaceIsAdmittedWherePodsAreRestricted(t *testing.T) {
	built := kustomize(t, `resources: ["@/demo"]`)
	namespace := find[corev1.Namespace](t, built, "Namespace", "tokenkeeper-demo")
	if err := kube.Create(t.Context(), &namespace); err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(kube, metav1.FieldValidationStrict)
	for _, object := range built {
		if object.GetKind() == "Namespace" {
			continue
		}
		if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "demo-marketplace", Namespace: namespace.Name},
		Spec:       find[appsv1.Deployment](t, built, "Deployment", "demo-marketplace").Spec.Template.Spec,
	}
	if err := kube.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

// What leads to the portal from outside is what people who follow a link need.
func TestIngressComponentExposesNoMoreThanLinksNeed(t *testing.T) {
	built := kustomize(t, `
resources: ["@/default"]
components: ["@/components/ingress", "@/components/httproute"]`)
	want := []string{"/sign-in/", "/callback/", "/done/"}
	var paths []string
	for _, path := range find[networkingv1.Ingress](t, built, "Ingress", "tokenkeeper-portal").Spec.Rules[0].HTTP.Paths {
		paths = append(paths, path.Path)
	}
	if !slices.Equal(paths, want) {
		t.Errorf("the Ingress leads %q, want %q", paths, want)
	}
	route := find[map[string]any](t, built, "HTTPRoute", "tokenkeeper-portal")
	rules, _, err := unstructured.NestedSlice(route, "spec", "rules")
	if err != nil || len(rules) != 1 {
		t.Fatalf("the HTTPRoute has %d rules, error %v", len(rules), err)
	}
	matches, _, err := unstructured.NestedSlice(rules[0].(map[string]any), "matches")
	if err != nil {
		t.Fatal(err)
	}
	paths = nil
	for _, match := range matches {
		path, _, err := unstructured.NestedString(match.(map[string]any), "path", "value")
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if !slices.Equal(paths, want) {
		t.Errorf("the HTTPRoute leads %q, want %q", paths, want)
	}
}

// An index into the arguments breaks, or sets another flag, as soon as a version has one more.
func TestNothingPatchesArgumentsByTheirIndex(t *testing.T) {
	for _, folder := range []string{"../../config", "../../docs", "../../README.md"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), "/containers/0/args") {
				t.Errorf("%s patches an argument by its index", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
