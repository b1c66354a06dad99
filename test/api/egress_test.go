package api_test

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// The policy for Cilium names every host that the operator asks for the shipped marketplaces, and no other.
func TestCiliumPolicyNamesTheHostsOfTheMarketplaces(t *testing.T) {
	var want []string
	for _, path := range manifestPaths(t, "marketplaces") {
		if filepath.Base(path) == "oidc.yaml" {
			continue // an example, at a host that does not exist
		}
		var marketplace v1alpha1.Marketplace
		convert(t, documents(t, path)[0].Object, &marketplace)
		want = append(want, askedHosts(t, &marketplace)...)
	}
	slices.Sort(want)
	want = slices.Compact(want)

	rules, _, err := unstructured.NestedSlice(documents(t, "../../docs/examples/cilium-egress.yaml")[0].Object, "spec", "egress")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, rule := range rules {
		hosts, _, err := unstructured.NestedSlice(rule.(map[string]any), "toFQDNs")
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range hosts {
			for _, name := range host.(map[string]any) { // matchName or matchPattern
				named = append(named, name.(string))
			}
		}
	}
	if diff := cmp.Diff(want, named); diff != "" {
		t.Error(diff)
	}
}

// askedHosts are the hosts to which the operator sends requests, in every environment and with every choice of a parameter.
func askedHosts(t *testing.T, marketplace *v1alpha1.Marketplace) []string {
	t.Helper()
	endpoints := marketplace.Spec.Endpoints
	urls := []v1alpha1.URLTemplate{endpoints.Issuer, endpoints.Token, endpoints.Refresh, endpoints.DeviceAuthorization, endpoints.Revocation}
	if request := marketplace.Spec.Identity.Request; request != nil {
		urls = append(urls, request.URL)
	}
	var hosts []string
	for _, environment := range marketplace.Spec.Environments {
		for _, template := range urls {
			filled := []string{string(template)}
			for _, variable := range environment.Variables {
				filled = fill(filled, variable.Name, []string{string(variable.Value)})
			}
			for _, parameter := range marketplace.Spec.Parameters {
				filled = choose(filled, parameter)
			}
			for _, text := range filled {
				address, err := url.Parse(text)
				if err != nil || strings.Contains(text, "{") {
					t.Fatalf("%s of Marketplace %s: %v", text, marketplace.Name, err)
				}
				if address.Host != "" {
					hosts = append(hosts, address.Host)
				}
			}
		}
	}
	return hosts
}

// choose puts each value of a parameter in its place, with what comes along with it; a star stands for a value that authors of accounts make up.
func choose(templates []string, parameter v1alpha1.ParameterDeclaration) []string {
	if len(parameter.Choices) == 0 {
		values := parameter.Enum
		if parameter.Pattern != "" {
			values = []string{"*"}
		}
		return fill(templates, parameter.Name, values)
	}
	var filled []string
	for _, choice := range parameter.Choices {
		chosen := fill(templates, parameter.Name, []string{choice.Value})
		for _, variable := range choice.Variables {
			chosen = fill(chosen, variable.Name, []string{string(variable.Value)})
		}
		filled = append(filled, chosen...)
	}
	return filled
}

// fill puts each value in the place of a name.
func fill(templates []string, name string, values []string) []string {
	var filled []string
	for _, template := range templates {
		if !strings.Contains(template, "{"+name+"}") {
			filled = append(filled, template)
			continue
		}
		for _, value := range values {
			filled = append(filled, strings.ReplaceAll(template, "{"+name+"}", value))
		}
	}
	return filled
}
