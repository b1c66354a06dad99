package chart_test

import (
	"slices"
	"strings"
	"testing"
)

// notes are what Helm 4 prints after an installation; Helm 3 wants a cluster for that, and test/install has one.
func notes(t *testing.T, chart, values string) string {
	t.Helper()
	out, err := call(t, helms["4"], values, "install", release, chart, "--namespace", namespace, "--dry-run=client")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(out, "NOTES:")
	return text
}

func TestNotesNameTheNextCommand(t *testing.T) {
	enabled := slices.DeleteFunc(names(t, "config/marketplaces/*.yaml"), func(name string) bool { return name == "oidc" })
	for name, row := range map[string]struct{ chart, values, says string }{
		"defaults":             {operator, "", "helm install tokenkeeper-marketplaces charts/tokenkeeper-marketplaces --namespace tokenkeeper-system"},
		"without the kinds":    {operator, "crds: {enabled: false}", "kubectl get crd marketplaceaccounts.tokenkeeper.dev"},
		"without a portal":     {operator, "", "kubectl -n tokenkeeper-system port-forward service/tokenkeeper-portal 8082:http"},
		"with a portal":        {operator, "portal: {url: 'https://tokens.example.com/'}", "https://tokens.example.com/callback/<name of the Marketplace>"},
		"a portal of its own":  {operator, "portal: {url: 'https://tokens.example.com/'}", "rollout status deployment/tokenkeeper-portal"},
		"another name":         {operator, "fullnameOverride: keeper", "rollout status deployment/keeper"},
		"some namespaces":      {operator, "watch: {namespaces: [shop]}", "for the accounts of shop"},
		"a ServiceMonitor":     {operator, "metrics: {serviceMonitor: {enabled: true}}", "--clusterrole=tokenkeeper-metrics-reader --serviceaccount=monitoring:prometheus"},
		"marketplaces":         {marketplaces, "", "Accounts can name " + strings.Join(enabled, ", ") + " now"},
		"no marketplace":       {marketplaces, strings.Join(enabled, ": {enabled: false}\n") + ": {enabled: false}", "this release is empty"},
		"the example of oidc":  {marketplaces, "oidc: {enabled: true}", "login.example.com no real host"},
		"oidc with a real one": {marketplaces, "oidc: {enabled: true, overrides: {environments: [{name: Production, variables: [{name: host, value: id.corp}]}]}}", "oidc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text := notes(t, row.chart, row.values); !strings.Contains(text, row.says) {
				t.Errorf("the notes lack %q:\n%s", row.says, text)
			}
		})
	}
}

func TestNotesWarnOfContradictions(t *testing.T) {
	const url = "portal: {url: 'https://tokens.example.com', "
	for name, row := range map[string]struct{ values, says string }{
		"defaults":                        {"", ""},
		"a portal to which nothing leads": {url + "}", "leads nobody there"},
		"a portal behind an Ingress":      {url + "ingress: {enabled: true}}", ""},
		"a portal on this machine":        {"portal: {url: 'http://localhost:8082'}", ""},
		"Ingress and HTTPRoute":           {url + "ingress: {enabled: true}, httpRoute: {enabled: true, parentRefs: [{name: a}]}}", "one of them suffices"},
		"the internal part alone":         {url + "ingress: {internal: {enabled: true, className: in}}}", "Only the internal part"},
		"an internal part that is public": {url + "ingress: {enabled: true, className: a, internal: {enabled: true, className: a}}}", "as public as the rest"},
		"both monitors":                   {"metrics: {secure: false, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}", "scraped twice"},
		"an Ingress that is locked out":   {url + "ingress: {enabled: true}}\nnetworkPolicy: {ingress: {enabled: true}}", "networkPolicy.ingress.portal"},
		"a Prometheus that is locked out": {"metrics: {serviceMonitor: {enabled: true}}\nnetworkPolicy: {ingress: {enabled: true}}", "networkPolicy.ingress.metrics"},
		"alerts of what nobody scrapes":   {"alerts: {enabled: true}", "TokenkeeperOperatorAbsent"},
		"alerts of what is scraped":       {"alerts: {enabled: true}\nmetrics: {serviceMonitor: {enabled: true}}", ""},
		"applications without namespaces": {"watch: {applicationSecrets: [{namespace: a, name: b}]}", "no effect without watch.namespaces"},
		"kinds that are not kept":         {"crds: {keep: false}", "deletes the kinds"},
		"kinds of a part":                 {"watch: {namespaces: [shop]}", "crds.enabled=false in all but one"},
		"no limit of memory":              {"resources: {limits: null}", "GOMEMLIMIT is not either"},
		"exceptions from no proxy":        {"proxy: {noProxy: [a]}", "no effect without proxy.https"},
		"proxies in front of nothing":     {"portal: {trustedProxies: [10.0.0.1]}", "nothing stands in front"},
		"no replica":                      {"replicas: 0", "no token is renewed"},
		"Secrets that need no label":      {"requireUseLabel: false", "any password of their namespace"},
		"a flag of the labels":            {"extraArgs: [--require-use-label=false]", "use the value requireUseLabel"},
		"a flag of the links":             {"extraArgs: [--sign-in-links=Secret]", "use the value signInLinks"},
		"a portal without pods":           {url + "ingress: {enabled: true}, replicas: 0}", "nobody reaches the portal"},
		"no limit of the portal's memory": {url + "ingress: {enabled: true}, resources: {limits: null}}", "bounded by the node alone"},
		"a flag of the portal's pods":     {"extraArgs: [--portal-only]", "use the value portal.separate"},
		"a flag of the metrics":           {"extraArgs: [--metrics-secure=false]", "use the value metrics.secure"},
		"a flag that a value sets":        {"extraArgs: [--portal-url=https://a.example]", "use the value portal.url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := notes(t, operator, row.values)
			if got := strings.Count(text, "WARNING: "); row.says == "" && got > 0 || row.says != "" && got != 1 {
				t.Errorf("there are %d warnings in\n%s", got, text)
			}
			if !strings.Contains(text, row.says) {
				t.Errorf("the notes lack %q:\n%s", row.says, text)
			}
		})
	}
}

func TestLint(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		for _, chart := range []string{operator, marketplaces} {
			if out, err := call(t, helm, "", "lint", "--strict", "--kube-version", "1.37.0", chart); err != nil {
				t.Errorf("%s: %v\n%s", chart, err, out)
			}
		}
	})
}
