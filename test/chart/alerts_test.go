package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// prometheusRule is the object that the Prometheus operator reads.
type prometheusRule struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec ruleGroups `json:"spec"`
}

type ruleGroups struct {
	Groups []struct {
		Name  string      `json:"name"`
		Rules []alertRule `json:"rules"`
	} `json:"groups"`
}

type alertRule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// wantAlerts expects the rules of config/monitoring without one alert, whose pages lie elsewhere.
func wantAlerts(t *testing.T, made objects, runbooks, without string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", "monitoring", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var plain ruleGroups
	if err := yaml.UnmarshalStrict(text, &plain); err != nil {
		t.Fatal(err)
	}
	got := get[prometheusRule](t, made, "PrometheusRule tokenkeeper-system/tokenkeeper")
	rules := got.Spec.Groups[0].Rules
	want(t, got.Spec.Groups[0].Name, "tokenkeeper")
	for _, rule := range plain.Groups[0].Rules {
		if rule.Alert == without {
			continue
		}
		if len(rules) == 0 {
			t.Fatalf("%s is missing", rule.Alert)
		}
		rule.Annotations["runbook_url"] = runbooks + rule.Alert + ".md"
		wantYAML(t, rules[0], rule)
		rules = rules[1:]
	}
	want(t, len(rules), 0)
	if strings.Contains(runbooks, "example") {
		want(t, got.Metadata.Labels["release"], "prometheus")
	}
}

// wantYAML compares two values as they are written.
func wantYAML(t *testing.T, got, expected any) {
	t.Helper()
	a, errA := yaml.Marshal(got)
	b, errB := yaml.Marshal(expected)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("it is\n%s\nwant\n%s", a, b)
	}
}
