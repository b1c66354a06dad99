package controller_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestNoToolPrunesASecretOfTheOperator: tools prune what has their mark and is not in Git. An account from Git has marks; its Secrets have none, and
// go with the account alone.
func TestNoToolPrunesASecretOfTheOperator(t *testing.T) {
	w := newWorld(t)
	marks := map[string]string{
		"app.kubernetes.io/instance": "accounts", "argocd.argoproj.io/instance": "accounts",
		"kustomize.toolkit.fluxcd.io/name": "accounts", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
		"helm.toolkit.fluxcd.io/name": "accounts", "app.kubernetes.io/managed-by": "Helm",
	}
	w.prepare("ebay", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) {
		a.Labels = marks
		a.Annotations = map[string]string{
			"argocd.argoproj.io/tracking-id":                   "accounts:tokenkeeper.dev/MarketplaceAccount:shop/main",
			"kubectl.kubernetes.io/last-applied-configuration": "{}", "meta.helm.sh/release-name": "accounts", "meta.helm.sh/release-namespace": "shop",
			"config.kubernetes.io/owning-inventory": "accounts",
		}
	})
	w.start()
	w.expectReady()
	for _, name := range []string{"main-token", "main-grant"} {
		secret := w.readSecret(name)
		for key, value := range secret.Labels {
			if marks[key] == value {
				t.Errorf("%s has the label %s=%s", name, key, value)
			}
		}
		for key := range secret.Annotations {
			if !strings.HasPrefix(key, "tokenkeeper.dev/") {
				t.Errorf("%s has the annotation %s", name, key)
			}
		}
		w.Expect(metav1.IsControlledBy(secret, w.get())).To(BeTrue(), "%s does not go with the account", name)
	}
}
