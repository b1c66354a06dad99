package main

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// samples are the objects of config/samples.
func samples(t *testing.T) []manifest {
	t.Helper()
	read, err := loadManifests(os.DirFS("../.."), sampleDirectory)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// sampleAccounts are the accounts of config/samples.
func sampleAccounts(t *testing.T) []v1alpha1.MarketplaceAccount {
	t.Helper()
	var accounts []v1alpha1.MarketplaceAccount
	for _, m := range samples(t) {
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
	account := firstWith(v1alpha1.GrantRefreshToken, accounts)
	text, err := hints{
		Kubeconfig: "/tmp/q/kubeconfig", Kubectl: "/assets/kubectl", Market: "http://127.0.0.1:8080",
		Log: "/tmp/q/operator.log", Metrics: "http://127.0.0.1:9090/metrics", Portal: "http://localhost:7070",
		Clerk:   clerkIn(samples(t)),
		Account: account, Login: firstWith(v1alpha1.GrantPassword, accounts), Applications: applicationsBeside(account, accounts),
	}.text()
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text, "\n"); lines > 25 {
		t.Errorf("there are %d lines, more than a terminal has", lines)
	}
	for _, want := range []string{
		"All accounts are Ready, and",
		"kubectl -n shop create token shop-clerk --audience tokenkeeper --duration 8h   # lets you in at http://localhost:7070/\n",
		"export KUBECONFIG=/tmp/q/kubeconfig DEMO=http://127.0.0.1:8080/_demo\n",
		"alias kubectl=/assets/kubectl\n",
		"wait --for=condition=Ready mpa/allegro-main\n",
		"get secret allegro-main-token -o jsonpath=",
		`"$DEMO/allegro/down?for=60s"`,
		`patch secret allegro-app allegro-device-app -p '{"stringData":{"client_secret":"new"}}'`,
		`patch secret allegro-import -p '{"stringData":{"refresh_token":"'"$TOKEN"'"}}'`,
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
	text, err := hints{Kubeconfig: "/tmp/q/kubeconfig", Waiting: true}.text()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "All accounts that need no person are Ready, and") {
		t.Errorf("it begins with %s", text)
	}
	for _, unwanted := range []string{"alias", "patch", "curl", "create token", "<no value>"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in\n%s", unwanted, text)
		}
	}
}
