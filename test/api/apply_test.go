package api_test

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Accounts are selected by the fields of the spec that never change, without labels that repeat them.
func TestAccountsAreSelectedByFields(t *testing.T) {
	for name, set := range map[string]fields{
		"selected-allegro": {},
		"selected-sandbox": {"spec.environment": "Sandbox"},
		"selected-ebay":    {"spec.marketplaceRef.name": "ebay", "spec.grant.type": "ClientCredentials"},
	} {
		set["metadata.name"] = name
		var stored v1alpha1.MarketplaceAccount
		store(t, with(t, account(t), set), &stored)
	}
	for selector, want := range map[string]string{
		"spec.marketplaceRef.name=allegro":                              "selected-allegro selected-sandbox",
		"spec.environment=Production":                                   "selected-allegro selected-ebay",
		"spec.grant.type=ClientCredentials":                             "selected-ebay",
		"spec.marketplaceRef.name=allegro,spec.environment!=Production": "selected-sandbox",
	} {
		out := shell(t, t.TempDir(), "kubectl -n shop get mpa -o name --field-selector "+selector)
		got := strings.ReplaceAll(strings.Join(strings.Fields(out), " "), "marketplaceaccount.tokenkeeper.dev/", "")
		if got != want {
			t.Errorf("%s selects %q, want %q", selector, got, want)
		}
	}
}

// Tools that compare Git with the cluster, by either kind of apply, find no difference in the fields that the API server filled in.
func TestApplyingTwiceChangesNothing(t *testing.T) {
	config, folder := absolute(t, "../../config"), t.TempDir()
	for _, how := range []string{"", " --server-side"} {
		t.Run("apply"+how, func(t *testing.T) {
			for _, name := range []string{"marketplaces", "samples"} {
				kustomization := " -k " + config + "/" + name
				versions := "kubectl get" + kustomization + ` -o jsonpath='{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'`
				shell(t, folder, "kubectl apply"+how+kustomization)
				t.Cleanup(func() { deleteAll(t, name) })
				reportAll(t)
				before := shell(t, folder, versions)
				if strings.Count(before, "\n") < 5 {
					t.Fatalf("there is only %q", before)
				}
				shell(t, folder, "kubectl diff"+how+kustomization) // a difference makes kubectl fail
				shell(t, folder, "kubectl apply"+how+kustomization)
				if after := shell(t, folder, versions); after != before {
					t.Errorf("the second time makes\n%sof\n%s", after, before)
				}
			}
		})
	}
}

// reportAll writes the statuses of accounts, as the operator does. Before that the API server stores none, and the first write of
// any kind stores the default.
func reportAll(t *testing.T) {
	t.Helper()
	var accounts v1alpha1.MarketplaceAccountList
	if err := kube.List(t.Context(), &accounts); err != nil {
		t.Fatal(err)
	}
	for _, reported := range accounts.Items {
		before := reported.DeepCopy()
		reported.Status.ObservedGeneration = reported.Generation
		if err := kube.Status().Patch(t.Context(), &reported, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
}

// deleteAll deletes the objects of a folder under config, but for namespaces, which this API server cannot delete.
func deleteAll(t *testing.T, folder string) {
	t.Helper()
	for _, manifest := range manifestPaths(t, folder) {
		for _, object := range documents(t, manifest) {
			if object.GetKind() == "Namespace" {
				continue
			}
			if err := kube.Delete(context.Background(), object); err != nil {
				t.Error(err)
			}
		}
	}
}
