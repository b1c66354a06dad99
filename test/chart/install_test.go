package chart_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
)

// cluster is a real API server, without a kubelet and without controllers.
type cluster struct {
	client.Client
	helm, kubeconfig string
	admin            *rest.Config
	// address is where pods find the API server, and authority who signed its certificate for them.
	address, authority string
}

// serviceHost stands for the address of Service kubernetes: unlike loopback, a proxy could stand before it.
const serviceHost = "kubernetes.internal"

// startCluster starts one for a story of one version of Helm. configure sets flags of the API server.
func startCluster(t *testing.T, helm string, configure ...func(*envtest.APIServer)) cluster {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal(`KUBEBUILDER_ASSETS is not set: run "make test", which finds or builds etcd and kube-apiserver first`)
	}
	environment := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: time.Minute}
	server, signer, folder := environment.ControlPlane.GetAPIServer(), authority.New(t, "cluster"), t.TempDir()
	certificate, key := signer.CertifyFiles(t, serviceHost)
	for name, text := range map[string][]byte{"service.crt": certificate, "service.key": key} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.Configure().Set("enable-priority-and-fairness", "false").Append("tls-sni-cert-key", filepath.Join(folder, "service.crt")+","+filepath.Join(folder, "service.key"))
	for _, change := range configure {
		change(server)
	}
	if _, err := environment.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := admin.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	kube, err := client.New(admin.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(admin.Config().Host, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	return cluster{Client: kube, helm: helm, kubeconfig: kubeconfig, admin: admin.Config(), address: net.JoinHostPort(serviceHost, port), authority: signer.PEM}
}

// run runs a program against the cluster, and returns its output.
func (c cluster) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "HOME="+t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// install runs the two commands of the README.
func (c cluster) install(t *testing.T, more ...string) (notes string) {
	t.Helper()
	notes = c.run(t, c.helm, append([]string{"install", "tokenkeeper", operator, "--namespace", namespace, "--create-namespace"}, more...)...)
	c.waitForKinds(t)
	c.run(t, c.helm, append([]string{"install", "tokenkeeper-marketplaces", marketplaces, "--namespace", namespace}, more...)...)
	return notes
}

// release installs a chart with values, or upgrades it to them.
func (c cluster) release(t *testing.T, name, chart, values string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(t, c.helm, "upgrade", "--install", name, chart, "--namespace", namespace, "--create-namespace", "--values", file)
}

func (c cluster) waitForKinds(t *testing.T) {
	t.Helper()
	c.run(t, kubectl(), "wait", "--for=condition=Established", "--timeout=60s", "crd/marketplaces.tokenkeeper.dev", "crd/marketplaceaccounts.tokenkeeper.dev")
}

func kubectl() string {
	if built := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"); exists(built) {
		return built
	}
	return "kubectl"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// createAccounts creates some, with the Secrets that the operator would have made, and returns what must never change.
func (c cluster) createAccounts(t *testing.T) map[string]types.UID {
	t.Helper()
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if err := c.Create(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		account := &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
			Spec: v1alpha1.MarketplaceAccountSpec{
				MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
				ApplicationSecretRef: v1alpha1.SecretReference{Name: "allegro-app"},
				Grant:                v1alpha1.Grant{Type: v1alpha1.GrantDeviceCode},
			},
		}
		if err := c.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"-token", "-grant"} {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: name + suffix, Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
					*metav1.NewControllerRef(account, v1alpha1.GroupVersion.WithKind("MarketplaceAccount")),
				}},
			}
			if err := c.Create(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c.kept(t)
}

// kept are the accounts and their Secrets.
func (c cluster) kept(t *testing.T) map[string]types.UID {
	t.Helper()
	uids := map[string]types.UID{}
	var accounts v1alpha1.MarketplaceAccountList
	if err := c.List(t.Context(), &accounts); err != nil {
		t.Fatal(err)
	}
	for _, account := range accounts.Items {
		if account.DeletionTimestamp.IsZero() {
			uids["account "+account.Name] = account.UID
		}
	}
	var secrets corev1.SecretList
	if err := c.List(t.Context(), &secrets, client.InNamespace("shop")); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.Items {
		uids["Secret "+secret.Name] = secret.UID
	}
	return uids
}

// releases lists what the charts have made, each with its resourceVersion, but for what Helm keeps for itself.
func (c cluster) releases(t *testing.T) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &rbacv1.ClusterRoleList{},
		&rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &apiextensionsv1.CustomResourceDefinitionList{},
		&v1alpha1.MarketplaceList{},
	} {
		if err := c.List(t.Context(), list, client.MatchingLabels{"app.kubernetes.io/managed-by": "Helm"}); err != nil {
			t.Fatal(err)
		}
		kind := reflect.TypeOf(list).Elem().Name()
		items, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
		if err != nil {
			t.Fatal(err)
		}
		found, _ := items["items"].([]any)
		for _, item := range found {
			object, _ := item.(map[string]any)
			meta := metadata(object)
			namespace, _ := meta["namespace"].(string)
			name, _ := meta["name"].(string)
			version, _ := meta["resourceVersion"].(string)
			versions[strings.TrimSuffix(kind, "List")+" "+namespace+"/"+name] = version
		}
	}
	return versions
}

func TestInstallUpgradeUninstallReinstall(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		c := startCluster(t, helm)
		notes := c.install(t)
		if !strings.Contains(notes, "helm install tokenkeeper-marketplaces charts/tokenkeeper-marketplaces --namespace tokenkeeper-system") {
			t.Errorf("the notes do not name the next command:\n%s", notes)
		}
		accounts := c.createAccounts(t)
		if len(accounts) != 6 {
			t.Fatalf("there are %v", accounts)
		}
		key := c.fillCustodyKey(t)
		keepsTheKey := func(what string) {
			t.Helper()
			if diff := cmp.Diff(key, c.custodyKey(t).Data); diff != "" {
				t.Errorf("%s changes the key of custody:\n%s", what, diff)
			}
		}

		before := c.releases(t)
		c.run(t, helm, "upgrade", "tokenkeeper", operator, "--namespace", namespace)
		c.run(t, helm, "upgrade", "tokenkeeper-marketplaces", marketplaces, "--namespace", namespace)
		for name, version := range c.releases(t) {
			if before[name] != version {
				t.Errorf("an upgrade to the same changes %s", name)
			}
		}
		keepsTheKey("an upgrade to the same")

		c.run(t, helm, "upgrade", "tokenkeeper", olderChart(t), "--namespace", namespace)
		if c.knowsTheField(t) {
			t.Error("the kinds are not those of the older chart")
		}
		c.run(t, helm, "upgrade", "tokenkeeper", operator, "--namespace", namespace, "--set", "portal.url=https://tokens.example.com")
		if !c.knowsTheField(t) {
			t.Error("an upgrade does not upgrade the kinds")
		}
		keepsTheKey("an upgrade")

		c.run(t, helm, "uninstall", "tokenkeeper", "--namespace", namespace)
		want(t, len(c.kept(t)), len(accounts))
		for name := range c.releases(t) {
			if !strings.HasPrefix(name, "CustomResourceDefinition ") && !strings.HasPrefix(name, "Marketplace ") {
				t.Errorf("%s outlives the release", name)
			}
		}

		keepsTheKey("the end of a release")
		if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
		c.run(t, helm, "install", "tokenkeeper", operator, "--namespace", namespace, "--set", "watch.namespaces={shop}")
		for name, uid := range c.kept(t) {
			want(t, uid, accounts[name])
		}
		keepsTheKey("an installation after one")
		c.expectPodIsAdmittedWherePodsAreRestricted(t)
	})
}

// custodyKey is the Secret of the key that authenticates grant Secrets.
func (c cluster) custodyKey(t *testing.T) *corev1.Secret {
	t.Helper()
	var key corev1.Secret
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "tokenkeeper-custody-key"}, &key); err != nil {
		t.Fatal(err)
	}
	return &key
}

// fillCustodyKey writes a key, as the operator does, which does not run here.
func (c cluster) fillCustodyKey(t *testing.T) map[string][]byte {
	t.Helper()
	key := c.custodyKey(t)
	key.Data = map[string][]byte{"current": bytes.Repeat([]byte("k"), 43), "adopted": []byte(`{"before":"1"}`)}
	if err := c.Update(t.Context(), key, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		t.Fatal(err)
	}
	return key.Data
}

// olderChart is the chart of a version that did not know the field "login" of an account.
func olderChart(t *testing.T) string {
	t.Helper()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(operator)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(older, "files", "crd", "marketplaceaccounts.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kind apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &kind); err != nil {
		t.Fatal(err)
	}
	delete(kind.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties, "login")
	if text, err = yaml.Marshal(kind); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return older
}

func (c cluster) knowsTheField(t *testing.T) bool {
	t.Helper()
	var kind apiextensionsv1.CustomResourceDefinition
	if err := c.Get(t.Context(), client.ObjectKey{Name: "marketplaceaccounts.tokenkeeper.dev"}, &kind); err != nil {
		t.Fatal(err)
	}
	_, ok := kind.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["login"]
	return ok
}

// leftBehind selects the flags of kustomize, as docs/install.md does.
const leftBehind = "app.kubernetes.io/name=tokenkeeper,app.kubernetes.io/managed-by!=Helm"

func TestHelmTakesOverWhatKustomizeMade(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		c := startCluster(t, helm)
		c.run(t, kubectl(), "apply", "-k", filepath.Join(root, "config", "default"))
		c.waitForKinds(t)
		c.run(t, kubectl(), "apply", "-k", filepath.Join(root, "config", "marketplaces"))
		accounts := c.createAccounts(t)
		former := c.deployment(t, "tokenkeeper")

		more := []string{"--take-ownership"}
		if strings.HasSuffix(helm, "4") {
			more = append(more, "--force-conflicts")
		}
		c.install(t, more...)
		for name, uid := range c.kept(t) {
			want(t, uid, accounts[name])
		}
		want(t, len(c.kept(t)), len(accounts))
		now := c.deployment(t, "tokenkeeper")
		want(t, now.UID, former.UID)
		want(t, now.Labels["app.kubernetes.io/managed-by"], "Helm")
		left := func() string {
			return strings.TrimSpace(c.run(t, kubectl(), "-n", namespace, "get", "configmap", "-o", "name", "-l", leftBehind))
		}
		if names := left(); !strings.HasPrefix(names, "configmap/tokenkeeper-") {
			t.Errorf("kustomize left %q behind: docs/install.md speaks of a ConfigMap", names)
		}
		c.run(t, kubectl(), "-n", namespace, "delete", "configmap", "-l", leftBehind)
		want(t, left(), "")
		if args := now.Spec.Template.Spec.Containers[0].Args; slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "$(") }) {
			t.Errorf("of the arguments %q some are those of kustomize", args)
		}
	})
}

func (c cluster) deployment(t *testing.T, name string) appsv1.Deployment {
	t.Helper()
	var found appsv1.Deployment
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// expectPodIsAdmittedWherePodsAreRestricted asks a namespace that enforces the restricted Pod Security Standard. It admits the pod, whatever values add to it.
func (c cluster) expectPodIsAdmittedWherePodsAreRestricted(t *testing.T) {
	t.Helper()
	const name = "restricted"
	restricted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := c.Create(t.Context(), restricted); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "tokenkeeper", Namespace: name}}); err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(c.Client, metav1.FieldValidationStrict)
	for said, values := range map[string]string{
		"defaults": "",
		"everything": `
replicas: 2
caBundle: {configMapName: ca}
proxy: {https: "http://proxy:3128"}
watch: {namespaces: [shop]}
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]`,
	} {
		made := render(t, c.helm, operator, values)
		admitted := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "tokenkeeper", Namespace: name}, Spec: pod(t, made)}
		if err := strict.Create(t.Context(), admitted, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", said, err)
		}
	}
}
