package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// table asks for an object as kubectl get does.
func table(t *testing.T, path string) metav1.Table {
	t.Helper()
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	body, err := server.RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var answer metav1.Table
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Rows) != 1 {
		t.Fatalf("a table with one row must be the answer, not %s", body)
	}
	return answer
}

// column is a heading, the cell of the only row under it, and whether "kubectl get" shows it or only "-o wide".
type column struct {
	Name, Shown string
	Wide        bool
}

func columns(answer metav1.Table) []column {
	shown := make([]column, 0, len(answer.ColumnDefinitions))
	for i, definition := range answer.ColumnDefinitions {
		cell := answer.Rows[0].Cells[i]
		if cell == nil {
			cell = ""
		}
		if definition.Name == "Age" {
			cell = "an age" // which depends on how long the test takes
		}
		shown = append(shown, column{Name: definition.Name, Shown: fmt.Sprint(cell), Wide: definition.Priority > 0})
	}
	return shown
}

func TestAccountColumns(t *testing.T) {
	var printed v1alpha1.MarketplaceAccount
	store(t, with(t, account(t), fields{"metadata.name": "printed"}), &printed)
	path := fmt.Sprintf("/apis/tokenkeeper.dev/v1alpha1/namespaces/%s/marketplaceaccounts/printed", namespace)

	t.Run("before the operator has looked", func(t *testing.T) {
		want := []column{
			{Name: "Name", Shown: "printed"}, {Name: "Marketplace", Shown: "allegro"}, {Name: "Account"},
			{Name: "Authenticated", Shown: "Unknown"}, {Name: "Days"}, {Name: "Reauth"}, {Name: "Ready", Shown: "Unknown"},
			{Name: "Age", Shown: "an age"},
			{Name: "Expires", Wide: true}, {Name: "Renews", Wide: true}, {Name: "Reason", Shown: "Renewing", Wide: true}, {Name: "Sign-in", Wide: true},
		}
		if diff := cmp.Diff(want, columns(table(t, path))); diff != "" {
			t.Errorf("columns (-want +got):\n%s", diff)
		}
	})

	before := printed.DeepCopy()
	condition := func(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: status, Reason: reason, LastTransitionTime: metav1.Unix(1_800_000_000, 0)}
	}
	printed.Status = v1alpha1.MarketplaceAccountStatus{
		Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid),
			condition(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected),
			condition(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected),
		},
		Account: &v1alpha1.AccountStatus{ID: "44130512", Login: "my-shop"},
		AccessToken: &v1alpha1.AccessTokenStatus{
			ExpirationTime: metav1.Unix(1_800_003_600, 0), RenewalTime: metav1.Unix(1_800_000_000, 0),
		},
		Authorization: &v1alpha1.AuthorizationStatus{DaysRemaining: new(int32(6))},
		SignIn:        &v1alpha1.SignInStatus{URL: "https://tokens.shop.example.com/sign-in/shop/printed"},
	}
	if err := kube.Status().Patch(t.Context(), &printed, client.MergeFrom(before)); err != nil {
		t.Fatalf("writing the status: %v", err)
	}

	t.Run("when a person must sign in", func(t *testing.T) {
		want := []column{
			{Name: "Name", Shown: "printed"}, {Name: "Marketplace", Shown: "allegro"}, {Name: "Account", Shown: "44130512"},
			{Name: "Authenticated", Shown: "False"}, {Name: "Days", Shown: "6"}, {Name: "Reauth", Shown: "True"}, {Name: "Ready", Shown: "True"},
			{Name: "Age", Shown: "an age"},
			{Name: "Expires", Shown: "2027-01-15T09:00:00Z", Wide: true}, {Name: "Renews", Shown: "2027-01-15T08:00:00Z", Wide: true},
			{Name: "Reason", Shown: "GrantRejected", Wide: true},
			{Name: "Sign-in", Shown: "https://tokens.shop.example.com/sign-in/shop/printed", Wide: true},
		}
		if diff := cmp.Diff(want, columns(table(t, path))); diff != "" {
			t.Errorf("columns (-want +got):\n%s", diff)
		}
	})
}

func TestMarketplaceColumns(t *testing.T) {
	var printed v1alpha1.Marketplace
	store(t, with(t, marketplace(t), fields{"metadata.name": "printed", "spec.grants": []any{"ClientCredentials", "RefreshToken"}, "spec.documentationURL": "https://api.bol.com/"}), &printed)
	printed.Status.Accounts = new(int32(17))
	meta.SetStatusCondition(&printed.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionValid, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSpec, Message: "spec.endpoints.token: …",
	})
	if err := kube.Status().Update(t.Context(), &printed); err != nil {
		t.Fatal(err)
	}

	want := []column{
		{Name: "Name", Shown: "printed"}, {Name: "Platform", Shown: "bol"}, {Name: "Grants", Shown: `["ClientCredentials","RefreshToken"]`},
		{Name: "Accounts", Shown: "17"}, {Name: "Valid", Shown: "False"},
		{Name: "Age", Shown: "an age"}, {Name: "Documentation", Shown: "https://api.bol.com/", Wide: true},
	}
	if diff := cmp.Diff(want, columns(table(t, "/apis/tokenkeeper.dev/v1alpha1/marketplaces/printed"))); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := server.ServerResourcesForGroupVersion("tokenkeeper.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	type names struct {
		Kind, Singular     string
		Short, Categories  []string
		InNamespace, Admin bool
	}
	got := map[string]names{}
	for _, resource := range served.APIResources {
		got[resource.Name] = names{
			Kind: resource.Kind, Singular: resource.SingularName, Short: resource.ShortNames, Categories: resource.Categories,
			InNamespace: resource.Namespaced,
		}
	}
	want := map[string]names{
		"marketplaceaccounts":        {Kind: "MarketplaceAccount", Singular: "marketplaceaccount", Short: []string{"mpa"}, Categories: []string{"tokenkeeper"}, InNamespace: true},
		"marketplaceaccounts/status": {Kind: "MarketplaceAccount", InNamespace: true},
		"marketplaces":               {Kind: "Marketplace", Singular: "marketplace", Categories: []string{"tokenkeeper"}},
		"marketplaces/status":        {Kind: "Marketplace"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}
