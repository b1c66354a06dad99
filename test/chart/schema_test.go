package chart_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestWhatTheSchemaRefuses(t *testing.T) {
	for name, row := range map[string]struct{ chart, values, says string }{
		"a value that nobody knows":         {operator, "replicaCount: 2", "replicaCount"},
		"a part that nobody knows":          {operator, "image: {name: x}", "name"},
		"a later value":                     {operator, "notifications: {}", "notifications"},
		"a portal without TLS":              {operator, "portal: {url: 'http://tokens.example.com'}", "url"},
		"a portal with a path":              {operator, "portal: {url: 'https://example.com/tokens'}", "url"},
		"a portal that is half separate":    {operator, "portal: {url: 'https://a.example', separate: 'yes'}", "separate"},
		"fewer than no pods of the portal":  {operator, "portal: {replicas: -1}", "replicas"},
		"memory of the portal that is none": {operator, "portal: {url: 'https://a.example', resources: {limits: {memory: '1e9'}}}", "want a number with Mi or Gi"},
		"a namespace that cannot be":        {operator, "watch: {namespaces: [Shop]}", "namespaces"},
		"a namespace twice":                 {operator, "watch: {namespaces: [shop, shop]}", "namespaces"},
		"a proxy that is no address":        {operator, "portal: {trustedProxies: [ingress]}", "trustedProxies"},
		"a digest that is none":             {operator, "image: {digest: latest}", "digest"},
		"fewer than no replicas":            {operator, "replicas: -1", "replicas"},
		"a label that is required a little": {operator, "requireUseLabel: sometimes", "requireUseLabel"},
		"links that stand nowhere":          {operator, "signInLinks: Nowhere", "signInLinks"},
		"an argument that is no flag":       {operator, "extraArgs: [start]", "extraArgs"},
		"a number as a label":               {operator, "commonLabels: {a: 1}", "commonLabels"},
		"a marketplace that nobody ships":   {marketplaces, "other: {enabled: true}", "other"},
		"a part of one that nobody knows":   {marketplaces, "ebay: {spec: {}}", "spec"},
		"an Ingress without a host":         {operator, "portal: {ingress: {enabled: true}}", "portal.url is needed"},
		"an HTTPRoute without a Gateway":    {operator, "portal: {url: 'https://a.example', httpRoute: {enabled: true}}", "must name a Gateway"},
		"a ServiceMonitor without Service":  {operator, "metrics: {service: {enabled: false}, serviceMonitor: {enabled: true}}", "needs metrics.service.enabled"},
		"a PodMonitor without a token":      {operator, "metrics: {podMonitor: {enabled: true}}", "needs metrics.podMonitor.authorization"},
		"an organisation that is a book":    {operator, "portal: {organisation: " + strings.Repeat("a", 257) + "}", "organisation"},
		"authorities from two places":       {operator, "caBundle: {pem: a, secretName: b}", "give one of"},
		"no ServiceAccount":                 {operator, "serviceAccount: {create: false}", "serviceAccount.name is needed"},
		"memory that Kubernetes would read": {operator, "resources: {limits: {memory: '1e9'}}", "want a number with Mi or Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			everyHelm(t, func(t *testing.T, helm string) {
				if _, err := template(t, helm, row.chart, row.values); err == nil || !strings.Contains(err.Error(), row.says) {
					t.Errorf("the error is %v, want one that says %q", err, row.says)
				}
			})
		})
	}
}

// Parent charts hand down "global", and "enabled" of their own condition.
func TestUmbrellaChart(t *testing.T) {
	umbrella := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml": `
apiVersion: v2
name: umbrella
version: 1.0.0
dependencies:
- {name: tokenkeeper, version: "*", repository: "", condition: tokenkeeper.enabled}
- {name: tokenkeeper-marketplaces, version: "*", repository: "", condition: tokenkeeper-marketplaces.enabled}`,
		"values.yaml": `
global: {imageRegistry: mirror.example.com, somethingElse: {of: others}}
tokenkeeper: {enabled: true, replicas: 2}
tokenkeeper-marketplaces: {enabled: true, ebay: {enabled: false}}`,
	} {
		if err := os.WriteFile(filepath.Join(umbrella, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, chart := range map[string]string{"tokenkeeper": operator, "tokenkeeper-marketplaces": marketplaces} {
		if err := os.CopyFS(filepath.Join(umbrella, "charts", name), os.DirFS(chart)); err != nil {
			t.Fatal(err)
		}
	}
	everyHelm(t, func(t *testing.T, helm string) {
		out, err := call(t, helm, "", "template", "all", umbrella, "--namespace", "platform", "--kube-version", "1.37.0")
		if err != nil {
			t.Fatal(err)
		}
		made := parse(t, out)
		want(t, made.has("Deployment platform/all-tokenkeeper"), true)
		want(t, made.has("Marketplace allegro"), true)
		want(t, made.has("Marketplace ebay"), false)
		want(t, pod(t, made).Containers[0].Image, "mirror.example.com/tokenkeeper/tokenkeeper:v0.1.0-dev")

		out, err = call(t, helm, "tokenkeeper: {enabled: false}\ntokenkeeper-marketplaces: {enabled: false}", "template", "all", umbrella)
		if err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("switched off it makes %q, error %v", out, err)
		}
	})
}

// Every value is in the schema and in values.yaml, where a comment stands before it or before the part that it belongs to.
func TestValuesAreDocumented(t *testing.T) {
	for _, chart := range []string{operator, marketplaces} {
		text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if err := yaml.UnmarshalStrict(text, &values); err != nil {
			t.Fatal(err)
		}
		rules, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		var schema node
		if err := json.Unmarshal(rules, &schema); err != nil {
			t.Fatal(err)
		}
		delete(schema.Properties, "global")
		delete(schema.Properties, "enabled")
		compare(t, chart, values, schema)
	}
}

// node is a part of a schema.
type node struct {
	Properties           map[string]node
	AdditionalProperties any
}

// compare finds values that only one of the two names.
func compare(t *testing.T, path string, values map[string]any, schema node) {
	t.Helper()
	if closed, ok := schema.AdditionalProperties.(bool); !ok || closed {
		return // the keys are the user's
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		value, ok := values[name]
		if !ok && name != "claims" { // an alpha field of resources
			t.Errorf("%s.%s is in the schema and not in values.yaml", path, name)
		}
		if inner, ok := value.(map[string]any); ok {
			compare(t, path+"."+name, inner, schema.Properties[name])
		}
	}
	for name := range values {
		if _, ok := schema.Properties[name]; !ok {
			t.Errorf("%s.%s is in values.yaml and not in the schema", path, name)
		}
	}
}
