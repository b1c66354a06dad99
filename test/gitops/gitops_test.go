// Package gitops_test runs the health checks that config/gitops has for Argo CD and Flux over the statuses that the operator was seen to write.
package gitops_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/test/statuses"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", "gitops", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// object is an account as tools see it.
func object(t *testing.T, account *v1alpha1.MarketplaceAccount) map[string]any {
	t.Helper()
	account.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
	made, err := runtime.DefaultUnstructuredConverter.ToUnstructured(account)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// argo is the health and the message that Argo CD shows.
func argo(t *testing.T, account *v1alpha1.MarketplaceAccount) (health, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.StringLibName: lua.OpenString, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetGlobal("obj", value(state, object(t, account)))
	if err := state.DoString(read(t, "argocd/health.lua")); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("it returns %v", state.Get(-1))
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

// value is JSON as Argo CD hands it over.
func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, member := range of {
			table.RawSetString(key, value(state, member))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range of {
			table.Append(value(state, item))
		}
		return table
	case string:
		return lua.LString(of)
	case bool:
		return lua.LBool(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	}
	return lua.LNil
}

// kustomization is the part of Flux's format that config/gitops uses.
type kustomization struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Interval  string `json:"interval"`
		Timeout   string `json:"timeout"`
		DependsOn []struct {
			Name string `json:"name"`
		} `json:"dependsOn"`
		SourceRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"sourceRef"`
		Path           string       `json:"path"`
		Prune          bool         `json:"prune"`
		DeletionPolicy string       `json:"deletionPolicy"`
		Wait           bool         `json:"wait"`
		HealthChecks   []expression `json:"healthCheckExprs"`
	} `json:"spec"`
}

type expression struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Failed     string `json:"failed"`
	Current    string `json:"current"`
}

func kustomizations(t *testing.T) []kustomization {
	t.Helper()
	var all []kustomization
	for document := range strings.SplitSeq(read(t, "flux/kustomizations.yaml"), "\n---\n") {
		var one kustomization
		if err := yaml.UnmarshalStrict([]byte(document), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// flux evaluates in the order of Flux's RFC 0009: another generation, failed, current.
func flux(t *testing.T, check expression, account *v1alpha1.MarketplaceAccount) string {
	t.Helper()
	fields := object(t, account)
	seen, told, err := unstructured.NestedInt64(fields, "status", "observedGeneration")
	if err != nil {
		t.Fatal(err)
	}
	if told && seen != account.Generation {
		return "InProgress"
	}
	environment, err := cel.NewEnv(cel.Variable("status", cel.DynType), cel.Variable("spec", cel.DynType), cel.Variable("metadata", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ text, result string }{{check.Failed, "Failed"}, {check.Current, "Current"}} {
		compiled, issues := environment.Compile(step.text)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := environment.Program(compiled)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := program.Eval(fields)
		if err != nil {
			t.Fatal(err)
		}
		if out.Value() == true {
			return step.result
		}
	}
	return "InProgress"
}

// accountCheck is Flux's check of accounts.
func accountCheck(t *testing.T) expression {
	t.Helper()
	all := kustomizations(t)
	checks := all[len(all)-1].Spec.HealthChecks
	if len(checks) != 1 || checks[0].APIVersion != v1alpha1.GroupVersion.String() || checks[0].Kind != "MarketplaceAccount" {
		t.Fatalf("the checks are %+v", checks)
	}
	return checks[0]
}

// TestHealthOfEveryRecordedStatus holds Argo CD and Flux against docs/who-acts.md, and both against kstatus.
func TestHealthOfEveryRecordedStatus(t *testing.T) {
	check, seen := accountCheck(t), map[string]bool{}
	for name, row := range statuses.Table(t, root) {
		t.Run(name, func(t *testing.T) {
			account := statuses.Read(t, root, name)
			for _, condition := range account.Status.Conditions {
				seen[condition.Reason] = true
			}
			health, message := argo(t, account)
			if health != row.Argo || message == "" {
				t.Errorf("Argo CD shows %s (%s), want %s", health, message, row.Argo)
			}
			if strings.Contains(message, "ticket=") {
				t.Errorf("Argo CD shows a link that is a key: %s", message)
			}
			if got := flux(t, check, account); got != row.Flux {
				t.Errorf("Flux makes %s of it, want %s", got, row.Flux)
			}
			plain, err := kstatus.Compute(&unstructured.Unstructured{Object: object(t, account)})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]kstatus.Status{"Healthy": kstatus.CurrentStatus, "Degraded": kstatus.FailedStatus, "Progressing": kstatus.InProgressStatus}[row.Argo]
			if row.Argo == "Suspended" { // kstatus does not know this state
				want = kstatus.FailedStatus
				if name == "suspended-token-good" {
					want = kstatus.CurrentStatus
				}
			}
			if plain.Status != want {
				t.Errorf("kstatus makes %s of it, and Argo CD is to show %s", plain.Status, row.Argo)
			}

			account.Generation++ // the spec was changed, and the operator has not looked
			if health, _ := argo(t, account); health != "Progressing" {
				t.Errorf("of a spec that nobody has looked at, Argo CD says %s", health)
			}
			if got := flux(t, check, account); got != "InProgress" && account.Status.ObservedGeneration > 0 {
				t.Errorf("of a spec that nobody has looked at, Flux says %s", got)
			}
		})
	}
	for _, reason := range reasons.Where(func(reasons.Meaning) bool { return true }) {
		if !seen[reason] {
			t.Errorf("no recorded status has reason %s", reason)
		}
	}
}

// TestWhatWaitsForAPersonHasNotFailed: the exceptions of both tools are the ones that the table of reasons knows.
func TestWhatWaitsForAPersonHasNotFailed(t *testing.T) {
	for _, reason := range reasons.Where(func(reasons.Meaning) bool { return true }) {
		account := &v1alpha1.MarketplaceAccount{Status: v1alpha1.MarketplaceAccountStatus{Conditions: []metav1.Condition{
			{Type: "Ready", Status: metav1.ConditionFalse, Reason: reason}, {Type: "Stalled", Status: metav1.ConditionTrue, Reason: reason},
		}}}
		meaning := reasons.Of(reason)
		waits := meaning.AwaitsSignIn && meaning.Ending == reasons.WithRefusal || meaning.Cure == reasons.Resume
		health, _ := argo(t, account)
		if (health == "Suspended") != waits || (flux(t, accountCheck(t), account) == "Current") != waits {
			t.Errorf("%s waits as it should: %t; Argo CD says %s, Flux %s", reason, waits, health, flux(t, accountCheck(t), account))
		}
	}
}

func TestArgoCDsConfigMapHasTheScript(t *testing.T) {
	var held corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(read(t, "argocd/argocd-cm.yaml")), &held); err != nil {
		t.Fatal(err)
	}
	if held.Name != "argocd-cm" || held.Data["resource.customizations.health.tokenkeeper.dev_MarketplaceAccount"] != read(t, "argocd/health.lua") {
		t.Error("argocd-cm.yaml has another script than health.lua")
	}
}

// order is that in which an installation comes about.
var order = []string{"config/crd", "config/marketplaces", "config/default", "accounts"}

func TestFluxAppliesInOrderAndPrunesNothing(t *testing.T) {
	before := ""
	for i, one := range kustomizations(t) {
		if path := strings.TrimPrefix(one.Spec.Path, "./"); path != order[i] {
			t.Errorf("%s applies %s, want %s", one.Metadata.Name, path, order[i])
		}
		if before != "" && (len(one.Spec.DependsOn) != 1 || one.Spec.DependsOn[0].Name != before) {
			t.Errorf("%s depends on %v, want %s", one.Metadata.Name, one.Spec.DependsOn, before)
		}
		if one.Spec.Prune || !one.Spec.Wait || order[i] != "config/default" && one.Spec.DeletionPolicy != "Orphan" {
			t.Errorf("%s: prune %t, wait %t, deletionPolicy %q", one.Metadata.Name, one.Spec.Prune, one.Spec.Wait, one.Spec.DeletionPolicy)
		}
		before = one.Metadata.Name
		exists(t, order[i])
	}
}

func TestArgoCDAppliesInOrderAndPrunesNothing(t *testing.T) {
	documents := strings.Split(read(t, "argocd/applications.yaml"), "\n---\n")
	if len(documents) != len(order) {
		t.Fatalf("there are %d applications", len(documents))
	}
	for i, document := range documents {
		var application struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
			Spec     struct {
				Source struct {
					Path string `json:"path"`
				} `json:"source"`
				SyncPolicy struct {
					Automated struct {
						Prune bool `json:"prune"`
					} `json:"automated"`
					SyncOptions []string `json:"syncOptions"`
				} `json:"syncPolicy"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(document), &application); err != nil {
			t.Fatal(err)
		}
		if wave := application.Metadata.Annotations["argocd.argoproj.io/sync-wave"]; wave != string(rune('0'+i)) || application.Spec.Source.Path != order[i] {
			t.Errorf("wave %s applies %s", wave, application.Spec.Source.Path)
		}
		policy := application.Spec.SyncPolicy
		if policy.Automated.Prune || order[i] != "config/default" && (!slices.Contains(policy.SyncOptions, "Prune=false") || !slices.Contains(policy.SyncOptions, "Delete=false")) {
			t.Errorf("%s: %+v", application.Metadata.Name, policy)
		}
	}
}

// exists looks for a folder of config/ that is applied.
func exists(t *testing.T, path string) {
	t.Helper()
	if path == "accounts" { // of the user
		return
	}
	if _, err := os.Stat(filepath.Join(root, path, "kustomization.yaml")); err != nil {
		t.Error(err)
	}
}
