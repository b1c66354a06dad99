package main

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// sampleAccounts are the accounts of config/samples.
func sampleAccounts(t *testing.T) []v1alpha1.MarketplaceAccount {
	t.Helper()
	samples, err := loadManifests(os.DirFS("../.."), sampleDirectory)
	if err != nil {
		t.Fatal(err)
	}
	var accounts []v1alpha1.MarketplaceAccount
	for _, m := range samples {
		if m.object.GetKind() != kindAccount {
			continue
		}
		var account v1alpha1.MarketplaceAccount
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.object.Object, &account); err != nil {
			t.Fatal(err)
		}
		accounts = append(accounts, account)
	}
	return accounts
}

func TestHints(t *testing.T) {
	accounts := sampleAccounts(t)
	text, err := hints{
		Kubeconfig: "/tmp/q/kubeconfig", Kubectl: "/assets/kubectl", Market: "http://127.0.0.1:8080",
		Log: "/tmp/q/operator.log", Metrics: "http://127.0.0.1:9090/metrics",
		Account: firstWith(v1alpha1.GrantRefreshToken, accounts), Login: firstWith(v1alpha1.GrantPassword, accounts),
	}.text()
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text, "\n"); lines > 25 {
		t.Errorf("there are %d lines, more than a terminal has", lines)
	}
	for _, want := range []string{
		"export KUBECONFIG=/tmp/q/kubeconfig DEMO=http://127.0.0.1:8080/_demo\n",
		"alias kubectl=/assets/kubectl\n",
		"wait --for=condition=Ready mpa/allegro-main\n",
		"get secret allegro-main-token -o jsonpath=",
		`"$DEMO/allegro/down?for=60s"`,
		`patch secret allegro-app -p '{"stringData":{"client_secret":"new"}}'`,
		`patch secret allegro-import -p '{"stringData":{"refresh_token":"…"}}'`,
		`"$DEMO/xsale/lock"`,
		`patch secret xsale-login -p '{"stringData":{"password":"new"}}'`,
		"/tmp/q/operator.log", "http://127.0.0.1:9090/metrics\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\n\n") {
		t.Errorf("there is an empty line in\n%s", text)
	}
}

func TestHintsLeaveOutWhatIsNotThere(t *testing.T) {
	text, err := hints{Kubeconfig: "/tmp/q/kubeconfig"}.text()
	if err != nil {
		t.Fatal(err)
	}
	for _, unwanted := range []string{"alias", "patch", "curl", "<no value>"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in\n%s", unwanted, text)
		}
	}
}
