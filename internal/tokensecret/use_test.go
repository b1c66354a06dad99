package tokensecret_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestUses is S8b: a use is allowed by its own word alone.
func TestUses(t *testing.T) {
	const application, login, refreshToken = tokensecret.UseApplication, tokensecret.UseLogin, tokensecret.UseRefreshToken
	all := []tokensecret.Uses{application, login, refreshToken}
	for value, want := range map[string][]tokensecret.Uses{
		"":                                nil,
		"application":                     {application},
		"login":                           {login},
		"refresh-token":                   {refreshToken},
		"application.login":               {application, login},
		"login.application":               {application, login},
		"application.login.refresh-token": all,
		"application.application":         {application},
		"application.other":               {application},
		"applications":                    nil,
		"Application":                     nil,
		"application-login":               nil,
		"application_login":               nil,
		"refresh.token":                   nil,
		"all":                             nil,
		"my-application":                  nil,
		"application..login":              {application, login},
	} {
		uses := tokensecret.UsesOf(map[string]string{v1alpha1.LabelUse: value})
		var allowed tokensecret.Uses
		for _, use := range want {
			allowed |= use
		}
		for _, use := range all {
			if got := uses.Allows(use); got != (allowed&use != 0) {
				t.Errorf("%q allows %s: %v", value, use, got)
			}
		}
		if !uses.Labelled() {
			t.Errorf("%q is no label", value)
		}
		if again := tokensecret.UsesOf(uses.Label()); again != uses {
			t.Errorf("%q is written as %v, and read as %v", value, uses.Label(), again)
		}
	}
	none := tokensecret.UsesOf(map[string]string{"use": "application", "tokenkeeper.dev/uses": "login"})
	if none.Labelled() || none.Label() != nil || none.Allows(application) || !none.Allows(tokensecret.UseOfMarketplace) {
		t.Errorf("without the label there is %v", none)
	}
	if got := none.With(login).With(application).String(); got != "application.login" {
		t.Errorf("the label of both is %q", got)
	}
}

func TestIsMadeByOperator(t *testing.T) {
	controlled := func(apiVersion string) metav1.ObjectMeta {
		return metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: apiVersion, Kind: "MarketplaceAccount", Name: "main", UID: "uid", Controller: new(true)}}}
	}
	for name, test := range map[string]struct {
		secret metav1.ObjectMeta
		want   bool
	}{
		"a user's":                      {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelUse: "application"}}, false},
		"one of an account":             {controlled("tokenkeeper.dev/v1alpha1"), true},
		"one of another version":        {controlled("tokenkeeper.dev/v1beta1"), true},
		"one of another group":          {controlled("example.com/v1"), false},
		"one that was kept":             {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelManagedBy: "tokenkeeper", v1alpha1.LabelAccount: "main"}}, true},
		"one that somebody marked":      {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelManagedBy: "tokenkeeper"}}, false},
		"one that names an account":     {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelAccount: "main"}}, false},
		"one that another tool manages": {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelManagedBy: "helm", v1alpha1.LabelAccount: "main"}}, false},
	} {
		if got := tokensecret.IsMadeByOperator(&test.secret); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
