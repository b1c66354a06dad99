package controller_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestOperatorOwnsNoFieldThatUsersWrite looks at the managed fields of accounts of every grant: a tool that uses server-side apply never
// meets a conflict with the operator. Every other story ends with the same check.
func TestOperatorOwnsNoFieldThatUsersWrite(t *testing.T) {
	t.Parallel()
	for platform, grant := range map[string]v1alpha1.GrantType{
		"ebay": v1alpha1.GrantRefreshToken, "xsale": v1alpha1.GrantPassword, "allegro": v1alpha1.GrantDeviceCode, "oidc": v1alpha1.GrantClientCredentials,
	} {
		t.Run(string(grant), func(t *testing.T) {
			w := newWorld(t)
			w.prepare(platform, grant, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
			w.start()
			w.annotate(v1alpha1.AnnotationRenew, "now")
			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })

			owned := ownedByOperator(t, w.get())
			w.Expect(owned).To(ContainElements("metadata finalizers", "status conditions"), "or the check says nothing")
			w.checkOwnership()
		})
	}
}

// checkOwnership tells where the operator owns more of a story's accounts than its finalizer and the status.
func (w *world) checkOwnership() {
	w.T.Helper()
	var accounts v1alpha1.MarketplaceAccountList
	if err := kube.List(context.Background(), &accounts, client.InNamespace(w.Namespace)); err != nil {
		w.T.Errorf("listing the accounts: %v", err)
	}
	for _, account := range accounts.Items {
		for _, field := range ownedByOperator(w.T, &account) {
			if field != "metadata finalizers" && !strings.HasPrefix(field, "status ") {
				w.T.Errorf("the operator owns %q of account %s", field, account.Name)
			}
		}
	}
}

// ownedByOperator lists the fields of an account that the operator owns: of each its parent and its name.
func ownedByOperator(t *testing.T, account *v1alpha1.MarketplaceAccount) []string {
	t.Helper()
	var owned []string
	for _, entry := range account.ManagedFields {
		if entry.Manager != v1alpha1.ManagedBy {
			continue
		}
		var parents map[string]map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &parents); err != nil {
			t.Fatal(err)
		}
		for parent, children := range parents {
			for child := range children {
				if child != "." {
					owned = append(owned, strings.TrimPrefix(parent, "f:")+" "+strings.TrimPrefix(child, "f:"))
				}
			}
		}
	}
	slices.Sort(owned)
	return slices.Compact(owned)
}
