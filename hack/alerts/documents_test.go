package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInhibitionInTheDocumentationIsThatOfTheFile(t *testing.T) {
	if !strings.Contains(read(t, "../../docs/alerts.md"), "```yaml\n"+read(t, "../../config/monitoring/inhibit_rules.yaml")+"```\n") {
		t.Error("docs/alerts.md has other inhibition rules than config/monitoring/inhibit_rules.yaml")
	}
}

// The part of kube-state-metrics's format that config/monitoring uses.
type (
	stateMetrics struct {
		Kind string `json:"kind"`
		Spec struct {
			Resources []stateResource `json:"resources"`
		} `json:"spec"`
	}
	stateResource struct {
		Kind struct {
			Group   string `json:"group"`
			Version string `json:"version"`
			Kind    string `json:"kind"`
		} `json:"groupVersionKind"`
		Prefix  string              `json:"metricNamePrefix"`
		Labels  map[string][]string `json:"labelsFromPath"`
		Metrics []stateMetric       `json:"metrics"`
	}
	stateMetric struct {
		Name string `json:"name"`
		Help string `json:"help"`
		// ErrorLogV is how talkative kube-state-metrics must be to complain of a path that an object lacks.
		ErrorLogV int `json:"errorLogV"`
		Each      struct {
			Type  string     `json:"type"`
			Info  *stateFrom `json:"info"`
			Gauge *stateFrom `json:"gauge"`
		} `json:"each"`
	}
	stateFrom struct {
		Path   []string            `json:"path"`
		Labels map[string][]string `json:"labelsFromPath"`
	}
)

// schema is the schema that a definition has for the objects of a kind.
func schema(t *testing.T, kind, version string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict([]byte(read(t, "../../config/crd/bases/tokenkeeper.dev_"+strings.ToLower(kind)+"s.yaml")), &definition); err != nil {
		t.Fatal(err)
	}
	for _, served := range definition.Spec.Versions {
		if served.Name == version && definition.Spec.Names.Kind == kind {
			return served.Schema.OpenAPIV3Schema
		}
	}
	t.Fatalf("%s has no version %s", kind, version)
	return nil
}

// follow walks a path through a schema; nil where it leads nowhere. A list stands for its items.
func follow(at *apiextensionsv1.JSONSchemaProps, path []string) *apiextensionsv1.JSONSchemaProps {
	for _, name := range path {
		if at.Items != nil {
			at = at.Items.Schema
		}
		next, there := at.Properties[name]
		if !there {
			return nil
		}
		at = &next
	}
	return at
}

// TestKubeStateMetricsInTheDocumentation: the page names the metrics of the configuration.
func TestKubeStateMetricsInTheDocumentation(t *testing.T) {
	config := read(t, "../../config/monitoring/kube-state-metrics.yaml")
	page := read(t, "../../docs/alerts.md")
	named := regexp.MustCompile(`kube_marketplaceaccount_(\w+)`).FindAllStringSubmatch(page, -1)
	if len(named) < 2 {
		t.Errorf("the page names %d metrics", len(named))
	}
	for _, metric := range named {
		if !strings.Contains(config, "- name: "+metric[1]+"\n") {
			t.Errorf("there is no %s", metric[0])
		}
	}
}

// TestKubeStateMetricsReadsWhatThereIs: every path of its configuration exists in the schema of the kind, and has the right type.
func TestKubeStateMetricsReadsWhatThereIs(t *testing.T) {
	var config stateMetrics
	if err := yaml.UnmarshalStrict([]byte(read(t, "../../config/monitoring/kube-state-metrics.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	paths := 0
	for _, resource := range config.Spec.Resources {
		root := schema(t, resource.Kind.Kind, resource.Kind.Version)
		leads := func(what string, from *apiextensionsv1.JSONSchemaProps, path []string, format string) {
			paths++
			if found := follow(from, path); found == nil || found.Type != "string" || format != "" && found.Format != format {
				t.Errorf("%s of %s: %v is no %s string", what, resource.Kind.Kind, path, format)
			}
		}
		for name, path := range resource.Labels {
			if !slices.Contains([]string{"metadata name", "metadata namespace"}, strings.Join(path, " ")) { // of every object
				leads(name, root, path, "")
			}
		}
		for _, metric := range resource.Metrics {
			what := resource.Prefix + "_" + metric.Name
			switch each := metric.Each; {
			case each.Type == "Gauge" && each.Gauge != nil && each.Info == nil: // a date is read as seconds since 1970
				leads(what, root, each.Gauge.Path, "date-time")
			case each.Type == "Info" && each.Info != nil && each.Gauge == nil:
				from := follow(root, each.Info.Path)
				if from == nil {
					t.Errorf("%s: %v leads nowhere", what, each.Info.Path)
					continue
				}
				if from.Items != nil {
					from = from.Items.Schema
				}
				for name, path := range each.Info.Labels {
					leads(what+" "+name, from, path, "")
				}
			default:
				t.Errorf("%s: type %q", what, each.Type)
			}
			if metric.Help == "" {
				t.Errorf("%s has no help", what)
			}
			if info := metric.Each.Type == "Info"; info != strings.HasSuffix(what, "_info") || info == (metric.ErrorLogV > 0) {
				t.Errorf("%s is of type %s, and complains with -v=%d", what, metric.Each.Type, metric.ErrorLogV)
			}
		}
	}
	if paths < 12 {
		t.Errorf("only %d paths were looked at", paths)
	}
	if text := fmt.Sprint(config.Kind); text != "CustomResourceStateMetrics" {
		t.Errorf("it is of kind %s", text)
	}
}
