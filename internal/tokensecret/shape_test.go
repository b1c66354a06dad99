package tokensecret_test

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestTokenSecretsOfStoredAccountsCannotImpersonate is S8a for accounts that the API server stored before it knew the rules.
func TestTokenSecretsOfStoredAccountsCannotImpersonate(t *testing.T) {
	const domain = "other controllers go by what is under that domain"
	label := func(key string) v1alpha1.TokenSecretTemplate {
		return v1alpha1.TokenSecretTemplate{Labels: map[string]v1alpha1.LabelValue{key: "a"}}
	}
	annotation := func(key string) v1alpha1.TokenSecretTemplate {
		return v1alpha1.TokenSecretTemplate{Annotations: map[string]v1alpha1.AnnotationValue{key: "a"}}
	}
	for name, test := range map[string]struct {
		shape v1alpha1.TokenSecretTemplate
		says  string // empty where it is rendered
	}{
		"nothing":                               {},
		"an opaque Secret":                      {v1alpha1.TokenSecretTemplate{Type: "Opaque"}, ""},
		"a user name and password":              {v1alpha1.TokenSecretTemplate{Type: "kubernetes.io/basic-auth"}, ""},
		"the credentials of a registry":         {v1alpha1.TokenSecretTemplate{Type: "kubernetes.io/dockerconfigjson"}, ""},
		"a release of Helm":                     {v1alpha1.TokenSecretTemplate{Type: "helm.sh/release.v1"}, "spec.tokenSecret.template.type must be one of Opaque, kubernetes.io/basic-auth, kubernetes.io/dockerconfigjson"},
		"a token of Kubernetes":                 {v1alpha1.TokenSecretTemplate{Type: "kubernetes.io/service-account-token"}, "template.type must be"},
		"a certificate":                         {v1alpha1.TokenSecretTemplate{Type: "kubernetes.io/tls"}, "template.type must be"},
		"a grant Secret":                        {v1alpha1.TokenSecretTemplate{Type: "tokenkeeper.dev/grant"}, "template.type must be"},
		"a type of one's own":                   {v1alpha1.TokenSecretTemplate{Type: "example.com/token"}, "template.type must be"},
		"a label of one's own":                  {label("example.com/team"), ""},
		"a label without a domain":              {label("kubernetes.io"), ""},
		"a label of a domain that ends so":      {label("notkubernetes.io/team"), ""},
		"a label of a domain that begins so":    {label("kubernetes.io.example.com/team"), ""},
		"a label that makes it a credential":    {label("tokenkeeper.dev/use"), `spec.tokenSecret.template.labels must not have "tokenkeeper.dev/use": ` + domain},
		"a label of who manages it":             {label("app.kubernetes.io/managed-by"), domain},
		"a label of Argo CD":                    {label("argocd.argoproj.io/secret-type"), domain},
		"a label of the cluster's own":          {label("node.cluster.k8s.io/a"), domain},
		"an annotation of one's own":            {annotation("example.com/note"), ""},
		"an annotation of Helm":                 {annotation("helm.sh/resource-policy"), `spec.tokenSecret.template.annotations must not have "helm.sh/resource-policy"`},
		"an annotation of Flux":                 {annotation("kustomize.toolkit.fluxcd.io/reconcile"), domain},
		"an annotation of a service account":    {annotation("kubernetes.io/service-account.name"), domain},
		"an annotation that asks for an answer": {annotation("tokenkeeper.dev/retry"), domain},
	} {
		t.Run(name, func(t *testing.T) {
			err := tokensecret.CheckTemplates(shaped(test.shape))
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("the error is %v, want %q", err, test.says)
			}
		})
	}
}
