package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// hintsText suggests the next steps, in fewer lines than a terminal has.
const hintsText = `All accounts{{if .Waiting}} that need no person{{end}} are Ready, and renewed as you watch. What to try next, in another terminal:
  export KUBECONFIG={{.Kubeconfig}} DEMO={{.Market}}/_demo
{{- with .Kubectl}}
  alias kubectl={{.}}
{{- end}}
  kubectl get mpa -A -o wide
  kubectl explain mpa.spec
{{- with .Clerk.Name}}
  kubectl -n {{$.Clerk.Namespace}} create token {{.}} --audience tokenkeeper --duration 8h   # lets you in at {{$.Portal}}/
{{- end}}
{{- with .Account}}
  kubectl -n {{.Namespace}} wait --for=condition=Ready mpa/{{.Name}}
  kubectl -n {{.Namespace}} get secret {{.TokenSecretName}} -o jsonpath='{.data.access_token}' | base64 -d
  kubectl -n {{.Namespace}} delete secret {{.TokenSecretName}}   # is restored without asking the marketplace
  kubectl -n {{.Namespace}} annotate mpa {{.Name}} --overwrite tokenkeeper.dev/renew="$(date)"   # or …/verify
Break something at the demo marketplace, and mend it (with buttons: open $DEMO/):
  curl -X POST "$DEMO/{{.Spec.MarketplaceRef.Name}}/down?for=60s"   # mends itself
{{- with $.Applications}}
  curl -X POST "$DEMO/{{$.Account.Spec.MarketplaceRef.Name}}/set-client-secret?value=new"
    kubectl -n {{$.Account.Namespace}} patch secret {{.}} -p '{"stringData":{"client_secret":"new"}}'
{{- end}}
{{- with .Spec.Grant.RefreshToken}}
  curl -X POST "$DEMO/{{$.Account.Spec.MarketplaceRef.Name}}/revoke-grants"
    TOKEN=$(curl -s -X POST -H "Accept: text/plain" "$DEMO/{{$.Account.Spec.MarketplaceRef.Name}}/grant")   # a new refresh token
    kubectl -n {{$.Account.Namespace}} patch secret {{.SecretRef.Name}} -p '{"stringData":{"refresh_token":"'"$TOKEN"'"}}'
{{- end}}
{{- end}}
{{- with .Login}}
  curl -X POST "$DEMO/{{.Spec.MarketplaceRef.Name}}/lock"
    curl -X POST "$DEMO/{{.Spec.MarketplaceRef.Name}}/set-password?value=new"
    kubectl -n {{.Namespace}} patch secret {{.Spec.Grant.Password.SecretRef.Name}} -p '{"stringData":{"password":"new"}}'
{{- end}}
The operator's log is {{.Log}}, its metrics are at {{.Metrics}}
Ctrl-C stops everything and removes it.
`

// hints are the facts behind the suggested steps.
type hints struct {
	Kubeconfig string
	Kubectl    string // path; empty where PATH has one
	Market     string // URL
	Log        string // of the operator
	Metrics    string // URL
	Portal     string // URL
	// Waiting tells that accounts wait for a person.
	Waiting bool
	// Clerk is the ServiceAccount of people with the accounts in their care. Without a name the line about it is left out.
	Clerk types.NamespacedName
	// Account is the one to play with, Login one with a password. Nil leaves the lines about it out.
	Account, Login *v1alpha1.MarketplaceAccount
	// Applications are the Secrets, separated by spaces, with the client secret of Account's application.
	Applications string
}

func (v *progress) hints() hints {
	played := firstWith(v1alpha1.GrantRefreshToken, v.board.accounts)
	h := hints{
		Kubeconfig:   v.path("kubeconfig"),
		Market:       v.market.url,
		Log:          v.operator.log,
		Metrics:      v.operator.metricsURL,
		Portal:       v.portal.url,
		Waiting:      !v.board.ready(),
		Clerk:        clerkIn(v.samples),
		Account:      played,
		Login:        firstWith(v1alpha1.GrantPassword, v.board.accounts),
		Applications: applicationsBeside(played, v.board.accounts),
	}
	if _, err := exec.LookPath("kubectl"); err != nil {
		h.Kubectl = filepath.Join(v.assets, "kubectl")
	}
	return h
}

// firstWith returns the first account with that grant, nil when there is none.
func firstWith(grant v1alpha1.GrantType, accounts []v1alpha1.MarketplaceAccount) *v1alpha1.MarketplaceAccount {
	at := slices.IndexFunc(accounts, func(account v1alpha1.MarketplaceAccount) bool { return account.Spec.Grant.Type == grant })
	if at < 0 {
		return nil
	}
	return &accounts[at]
}

// applicationsBeside names the application Secrets of all the accounts that share an account's namespace and marketplace,
// where the samples know one application.
func applicationsBeside(account *v1alpha1.MarketplaceAccount, accounts []v1alpha1.MarketplaceAccount) string {
	var names []string
	for _, other := range accounts {
		name := other.Spec.ApplicationSecretRef.Name
		if account != nil && name != "" && other.Namespace == account.Namespace && other.Spec.MarketplaceRef == account.Spec.MarketplaceRef {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// clerkIn names the ServiceAccount among the samples; it is empty when there is none.
func clerkIn(samples []manifest) types.NamespacedName {
	at := slices.IndexFunc(samples, func(m manifest) bool { return m.object.GetKind() == "ServiceAccount" })
	if at < 0 {
		return types.NamespacedName{}
	}
	return client.ObjectKeyFromObject(samples[at].object)
}

// text puts the hints into words.
func (h hints) text() (string, error) {
	said, err := template.New("hints").Parse(hintsText)
	if err != nil {
		return "", fmt.Errorf("reading the hints: %w", err)
	}
	var text strings.Builder
	if err := said.Execute(&text, h); err != nil {
		return "", fmt.Errorf("writing the hints: %w", err)
	}
	return text.String(), nil
}
