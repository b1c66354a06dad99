package chart_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// deployment is the operator's.
const deployment = "Deployment tokenkeeper-system/tokenkeeper"

func TestKindsAreThoseOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, operator, "")
		for _, name := range names(t, "config/crd/bases/*.yaml") {
			want := config(t, "crd/bases/"+name+".yaml")[0]
			got := get[map[string]any](t, made, id(want))
			if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
				t.Errorf("%s: %s", id(want), diff)
			}
			for _, annotation := range []string{"controller-gen.kubebuilder.io/version", "tokenkeeper.dev/definition-hash"} {
				if value := annotations(want)[annotation]; value == nil || annotations(got)[annotation] != value {
					t.Errorf("%s has %s %v, and %v in config/", id(want), annotation, annotations(got)[annotation], value)
				}
			}
		}
	})
}

func annotations(object map[string]any) map[string]any {
	found, _ := metadata(object)["annotations"].(map[string]any)
	return found
}

func TestRightsAreThoseOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, operator, "")
		for _, want := range slices.Concat(config(t, "rbac/role.yaml"), config(t, "rbac/marketplace_viewer_role.yaml"),
			config(t, "rbac/marketplaceaccount_editor_role.yaml"), config(t, "rbac/marketplaceaccount_operator_role.yaml"), config(t, "rbac/marketplaceaccount_viewer_role.yaml"), config(t, "rbac/metrics_reader_role.yaml")) {
			got := get[map[string]any](t, made, id(want))
			for _, part := range []string{"rules", "aggregationRule"} {
				if diff := cmp.Diff(want[part], got[part]); diff != "" {
					t.Errorf("%s: %s", id(want), diff)
				}
			}
			labels, _ := metadata(got)["labels"].(map[string]any)
			wanted, _ := metadata(want)["labels"].(map[string]any)
			for name, value := range wanted {
				if labels[name] != value {
					t.Errorf("%s has label %s=%v, want %v", id(want), name, labels[name], value)
				}
			}
		}
		for _, want := range config(t, "rbac/role_binding.yaml") {
			got := get[rbacv1.ClusterRoleBinding](t, made, id(want))
			wanted := get[rbacv1.ClusterRoleBinding](t, objects{want}, id(want))
			if diff := cmp.Diff(wanted.Subjects, got.Subjects); diff != "" || got.RoleRef != wanted.RoleRef {
				t.Errorf("%s refers to %v: %s", id(want), got.RoleRef, diff)
			}
		}
	})
}

func TestPodIsThatOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		want := get[appsv1.Deployment](t, config(t, "manager/deployment.yaml"), deployment)
		got := get[appsv1.Deployment](t, render(t, helm, operator, ""), deployment)
		container := &got.Spec.Template.Spec.Containers[0]
		// What installations set is in a ConfigMap there, and in values here.
		defaults := &want.Spec.Template.Spec.Containers[0]
		defaults.Args = slices.DeleteFunc(defaults.Args, func(arg string) bool { return strings.Contains(arg, "$(") })
		defaults.Env = slices.DeleteFunc(defaults.Env, func(variable corev1.EnvVar) bool { return variable.ValueFrom != nil })
		if missing := subtract(defaults.Args, container.Args); len(missing) > 0 {
			t.Errorf("the arguments %q lack %q of config/manager", container.Args, missing)
		}
		container.Args = defaults.Args
		if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
			t.Errorf("with default values the Deployment must be that of config/manager: %s", diff)
		}
	})
}

// TestPodOfThePortalIsThatOfConfig: in the kustomization a component has it, and in the chart the operator's pod does, with other flags.
func TestPodOfThePortalIsThatOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		const name = deployment + "-portal"
		made := render(t, helm, operator, "portal: {url: 'https://tokens.example.com'}")
		want := get[appsv1.Deployment](t, config(t, "components/portal-apart/deployment.yaml"), name)
		got := get[appsv1.Deployment](t, made, name)
		container, defaults := &got.Spec.Template.Spec.Containers[0], &want.Spec.Template.Spec.Containers[0]
		defaults.Args = slices.DeleteFunc(defaults.Args, func(arg string) bool { return strings.Contains(arg, "$(") })
		defaults.Env = slices.DeleteFunc(defaults.Env, func(variable corev1.EnvVar) bool { return variable.ValueFrom != nil })
		if missing := subtract(defaults.Args, container.Args); len(missing) > 0 || slices.Contains(container.Args, "--leader-elect") {
			t.Errorf("the arguments %q lack %q of config/components/portal-apart, or take part in an election", container.Args, missing)
		}
		container.Args = defaults.Args
		if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
			t.Errorf("with default values the Deployment must be that of config/components/portal-apart: %s", diff)
		}
		role := get[rbacv1.ClusterRole](t, made, "ClusterRole tokenkeeper-portal")
		if diff := cmp.Diff(get[rbacv1.ClusterRole](t, config(t, "components/portal-apart/role.yaml"), "ClusterRole tokenkeeper-portal").Rules, role.Rules); diff != "" {
			t.Error(diff)
		}
		binding := get[rbacv1.ClusterRoleBinding](t, made, "ClusterRoleBinding tokenkeeper-portal")
		wanted := get[rbacv1.ClusterRoleBinding](t, config(t, "components/portal-apart/role_binding.yaml"), "ClusterRoleBinding tokenkeeper-portal")
		if diff := cmp.Diff(wanted.Subjects, binding.Subjects); diff != "" || binding.RoleRef != wanted.RoleRef {
			t.Errorf("it refers to %v: %s", binding.RoleRef, diff)
		}
		service := get[corev1.Service](t, config(t, "components/portal-apart/service.yaml"), "Service tokenkeeper-system/tokenkeeper-portal")
		if diff := cmp.Diff(service.Spec.Selector, get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-portal").Spec.Selector); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNamespacedPortalHasTheRightsOfConfigNamespaced: beside an operator of some namespaces a portal with pods of its own has rights on Secrets in these
// alone, and on the application that both name.
func TestNamespacedPortalHasTheRightsOfConfigNamespaced(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, operator, `
portal: {url: 'https://tokens.example.com'}
watch:
  namespaces: [shop, outlet]
  applicationSecrets: [{namespace: apps, name: ebay-app}]`)
		everywhere := get[rbacv1.ClusterRole](t, made, "ClusterRole tokenkeeper-portal")
		if diff := cmp.Diff(get[rbacv1.ClusterRole](t, config(t, "components/portal-apart-namespaces/cluster_role.yaml"), "ClusterRole tokenkeeper-portal").Rules, everywhere.Rules); diff != "" {
			t.Error(diff)
		}
		for _, rule := range everywhere.Rules {
			if slices.Contains(rule.Resources, "secrets") {
				t.Errorf("in the whole cluster it may %v Secrets", rule.Verbs)
			}
		}
		watched := get[rbacv1.Role](t, config(t, "namespaced/watched-portal/role.yaml"), "Role tokenkeeper-portal-watched")
		for _, in := range []string{"shop", "outlet"} {
			if diff := cmp.Diff(watched.Rules, get[rbacv1.Role](t, made, "Role "+in+"/tokenkeeper-portal-watched").Rules); diff != "" {
				t.Errorf("rights in %s: %s", in, diff)
			}
			binding := get[rbacv1.RoleBinding](t, made, "RoleBinding "+in+"/tokenkeeper-portal-watched")
			if binding.RoleRef.Name != "tokenkeeper-portal-watched" || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "tokenkeeper-portal" {
				t.Errorf("in %s %v is bound to %v", in, binding.Subjects, binding.RoleRef)
			}
		}
		if subjects := get[rbacv1.RoleBinding](t, made, "RoleBinding apps/tokenkeeper-application").Subjects; len(subjects) != 2 || subjects[1].Name != "tokenkeeper-portal" {
			t.Errorf("the application is for %v", subjects)
		}
	})
}

// subtract returns the elements of the first that the second lacks.
func subtract(from, without []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(one string) bool { return slices.Contains(without, one) })
}

// In a namespaced installation these are the only rights that hold in the whole cluster. None of them reads a Secret.
func TestNamespacedInstallationHasTheRightsOfConfigNamespaced(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, operator, `
watch:
  namespaces: [shop, outlet]
  applicationSecrets: [{namespace: apps, name: ebay-app}, {namespace: apps, name: allegro-app}]`)
		got := get[rbacv1.ClusterRole](t, made, "ClusterRole tokenkeeper")
		want := get[rbacv1.ClusterRole](t, config(t, "components/namespaces/cluster_role.yaml"), "ClusterRole tokenkeeper")
		if diff := cmp.Diff(want.Rules, got.Rules); diff != "" {
			t.Error(diff)
		}
		var everywhere []string
		for _, rule := range got.Rules {
			everywhere = append(everywhere, strings.Join(rule.Verbs, ",")+" "+strings.Join(rule.Resources, ","))
		}
		remaining := []string{
			"get,list,watch namespaces", "get customresourcedefinitions", "create tokenreviews", "create subjectaccessreviews", "list,watch marketplaces", "patch marketplaces/status",
		}
		if diff := cmp.Diff(remaining, everywhere); diff != "" {
			t.Errorf("rights in the whole cluster: %s", diff)
		}
		watched := get[rbacv1.Role](t, config(t, "namespaced/watched/role.yaml"), "Role tokenkeeper-watched")
		for _, in := range []string{"shop", "outlet"} {
			role := get[rbacv1.Role](t, made, "Role "+in+"/tokenkeeper-watched")
			if diff := cmp.Diff(watched.Rules, role.Rules); diff != "" {
				t.Errorf("rights in %s: %s", in, diff)
			}
			binding := get[rbacv1.RoleBinding](t, made, "RoleBinding "+in+"/tokenkeeper-watched")
			if binding.RoleRef.Name != role.Name || binding.Subjects[0].Namespace != namespace {
				t.Errorf("in %s %v is bound to %v", in, binding.Subjects, binding.RoleRef)
			}
		}
		application := get[rbacv1.Role](t, made, "Role apps/tokenkeeper-application")
		if diff := cmp.Diff([]rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"allegro-app", "ebay-app"}, Verbs: []string{"get"},
		}}, application.Rules); diff != "" {
			t.Errorf("rights where applications lie: %s", diff)
		}
		pod := get[appsv1.Deployment](t, made, deployment)
		if !slices.Contains(pod.Spec.Template.Spec.Containers[0].Args, "--watch-namespaces=shop,outlet") {
			t.Errorf("the arguments are %q", pod.Spec.Template.Spec.Containers[0].Args)
		}
		if pod.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			t.Errorf("the strategy is %q: two operators with different leases would work at once", pod.Spec.Strategy.Type)
		}
	})
}

// By these rules test/signin walks through sign-ins.
func TestRoutesToThePortalAreThoseOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, operator, `
portal:
  url: https://tokens.example.com
  ingress:
    enabled: true
    tlsSecretName: tokenkeeper-portal-tls
    internal: {enabled: true, host: tokens.intranet.example.com, tlsSecretName: tokenkeeper-portal-internal-tls}
  httpRoute:
    enabled: true
    parentRefs: [{name: public, namespace: gateways}]
    internal: {enabled: true, host: tokens.intranet.example.com, parentRefs: [{name: internal, namespace: gateways}]}`)
		for _, component := range []string{"ingress/ingress", "ingress-internal/ingress", "httproute/httproute", "httproute-internal/httproute"} {
			want := config(t, "components/"+component+".yaml")[0]
			got := get[map[string]any](t, made, id(want))
			if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
				t.Errorf("%s: %s", id(want), diff)
			}
		}
	})
}

func TestMarketplacesAreThoseOfConfig(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, marketplaces, "oidc: {enabled: true}")
		all := names(t, "config/marketplaces/*.yaml")
		for _, name := range all {
			want := config(t, "marketplaces/"+name+".yaml")[0]
			got := get[map[string]any](t, made, "Marketplace "+name)
			if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if len(made) != len(all) {
			t.Errorf("it makes %q, want %q", made.ids(), all)
		}
	})
}

func TestEveryMarketplaceCanBeLeftOut(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		for _, name := range names(t, "config/marketplaces/*.yaml") {
			made := render(t, helm, marketplaces, "oidc: {enabled: true}\n"+name+": {enabled: false}")
			if made.has("Marketplace " + name) {
				t.Errorf("%s is there although it is switched off", name)
			}
		}
	})
}

func TestMarketplaceIsOverriddenFieldByField(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		made := render(t, helm, marketplaces, `
allegro:
  overrides:
    renewal: {before: 2h}
    scopes: {default: [one, two]}
    application:
      secretRef: {name: allegro-app, namespace: tokenkeeper-system}
      namespaceSelector: {matchLabels: {tokenkeeper.dev/allegro: allowed}}`)
		want, _ := config(t, "marketplaces/allegro.yaml")[0]["spec"].(map[string]any)
		want["renewal"].(map[string]any)["before"] = "2h"
		want["scopes"] = map[string]any{"default": []any{"one", "two"}}
		want["application"] = map[string]any{
			"secretRef":         map[string]any{"name": "allegro-app", "namespace": "tokenkeeper-system"},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"tokenkeeper.dev/allegro": "allowed"}},
		}
		got := get[map[string]any](t, made, "Marketplace allegro")
		if diff := cmp.Diff(want, got["spec"]); diff != "" {
			t.Error(diff)
		}
	})
}
