package api_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// store creates the object, removes it after the test, and reads into the state that the API server holds.
func store(t *testing.T, created *unstructured.Unstructured, into client.Object) {
	t.Helper()
	if err := kube.Create(t.Context(), created); err != nil {
		t.Fatalf("creating the object: %v", err)
	}
	t.Cleanup(func() {
		if err := kube.Delete(context.Background(), created); err != nil {
			t.Errorf("deleting the object: %v", err)
		}
	})
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(created), into); err != nil {
		t.Fatalf("reading the object: %v", err)
	}
}

func TestAccountDefaults(t *testing.T) {
	var got v1alpha1.MarketplaceAccount
	store(t, with(t, account(t), fields{"metadata.name": "defaulted"}), &got)

	wantSpec := v1alpha1.MarketplaceAccountSpec{
		MarketplaceRef: v1alpha1.MarketplaceReference{Name: "allegro"},
		Grant:          v1alpha1.Grant{Type: v1alpha1.GrantDeviceCode},
		Environment:    "Production",
		Renewal:        v1alpha1.Renewal{Policy: v1alpha1.RenewalAutomatic},
		Authorization:  v1alpha1.AuthorizationWarning{WarnBefore: "336h"},
		DeletionPolicy: v1alpha1.DeletionDelete,
	}
	if diff := cmp.Diff(wantSpec, got.Spec); diff != "" {
		t.Errorf("spec as stored (-want +got):\n%s", diff)
	}

	waiting := func(conditionType string) metav1.Condition {
		return metav1.Condition{
			Type: conditionType, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRenewing, Message: "Waiting for the operator",
		}
	}
	wantStatus := v1alpha1.MarketplaceAccountStatus{
		Conditions: []metav1.Condition{waiting(v1alpha1.ConditionReady), waiting(v1alpha1.ConditionAuthenticated)},
	}
	if diff := cmp.Diff(wantStatus, got.Status, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime")); diff != "" {
		t.Errorf("status before the operator has looked (-want +got):\n%s", diff)
	}
}

func TestAccountTemplateDefault(t *testing.T) {
	var got v1alpha1.MarketplaceAccount
	store(t, with(t, account(t), fields{"metadata.name": "templated", "spec.tokenSecret.template": map[string]any{}}), &got)

	want := &v1alpha1.TokenSecretTemplate{Type: "Opaque"}
	if diff := cmp.Diff(want, got.Spec.TokenSecret.Template); diff != "" {
		t.Errorf("template as stored (-want +got):\n%s", diff)
	}
}

func TestMarketplaceDefaults(t *testing.T) {
	var got v1alpha1.Marketplace
	store(t, with(t, marketplace(t), fields{"metadata.name": "defaulted"}), &got)

	want := v1alpha1.MarketplaceSpec{
		DisplayName:  "bol",
		Environments: []v1alpha1.Environment{{Name: "Production"}},
		Grants:       []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
		Endpoints:    v1alpha1.Endpoints{Token: "https://login.bol.com/token"},
		Scopes:       v1alpha1.Scopes{Separator: " "},
		AuthorizationRequest: v1alpha1.AuthorizationRequest{
			PKCE:     v1alpha1.PKCES256,
			Callback: v1alpha1.CallbackParameters{Code: "code"},
		},
		TokenRequest: v1alpha1.TokenRequest{
			Method:               v1alpha1.MethodPOST,
			ClientAuthentication: v1alpha1.ClientAuthenticationBasic,
			Encoding:             v1alpha1.EncodingForm,
		},
		TokenResponse: v1alpha1.TokenResponse{ExpiryUnit: v1alpha1.ExpiryUnitSeconds},
		RefreshToken: v1alpha1.RefreshToken{
			Rotation: v1alpha1.RotationRotating, LostAnswer: v1alpha1.LostAnswerRetryAtEnd, Expiry: v1alpha1.ExpiryNone,
		},
		Limits: v1alpha1.Limits{RequestsPerSecond: 5, Concurrency: 4},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec as stored (-want +got):\n%s", diff)
	}
}
