package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// openMarketplace starts the demo marketplace and an ingress controller, and gives the company's certificates to all programs that need them.
func (c *cluster) openMarketplace() {
	c.Helper()
	for _, file := range []string{"config/demo/namespace.yaml", "config/manager/namespace.yaml"} {
		c.try(c.kubectl, "apply", "-f", filepath.Join(root, file))
	}
	c.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
	for name, host := range map[string]string{"tokenkeeper-demo/demo-marketplace-tls": host(marketplace), namespace + "/tokenkeeper-portal-tls": host(portal)} {
		certificate, key := c.company.CertifyFiles(c.T, host)
		in, name, _ := strings.Cut(name, "/")
		c.createOrReplace(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
		})
	}
	for _, in := range []string{namespace, "shop"} {
		c.createOrReplace(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "company"}, Data: map[string]string{"ca.crt": c.company.PEM}})
	}
	c.kustomize("demo", `
resources: ["@config/demo"]
patches:
- target: {kind: Deployment, name: demo-marketplace}
  patch: |
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --portal-url=`+portal+`}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --access-token-lifetime=0}`)
	c.applyFile("ingress.yaml")
	for in, name := range map[string]string{"tokenkeeper-demo": "demo-marketplace", "e2e-ingress": "skipper"} {
		c.rollOut(in, name)
	}
	saw("demo marketplace and ingress run")
}

func host(address string) string { return strings.TrimPrefix(address, "https://") }

func (c *cluster) createOrReplace(object client.Object) {
	c.Helper()
	if err := client.IgnoreNotFound(c.Delete(c.Context(), object)); err != nil {
		c.Fatal(err)
	}
	object.SetResourceVersion("")
	if err := c.Create(c.Context(), object); err != nil {
		c.Fatal(err)
	}
}

// rollOut waits until a Deployment is as it should be.
func (c *cluster) rollOut(in, name string) {
	c.Helper()
	if _, err := c.run("", c.kubectl, "-n", in, "rollout", "status", "deployment/"+name, "--timeout="+patience.String()); err != nil {
		c.Fatalf("%v\n%s", err, c.picture())
	}
}

// tell installs in one way, lets the shop live with it, upgrades and uninstalls.
func (c *cluster) tell(number int, way way) {
	before := c.report()
	start := time.Now()
	way.install(c)
	pods := c.expectRunning(1)
	saw("%s: installed; the pod was ready %.1f s after the first command, admitted where Pod Security is %s", way.name, time.Since(start).Seconds(), c.podSecurity())
	c.expectProbes(pods)
	c.expectLeader(pods)
	prometheus := c.expectMetrics(pods[0])
	if number == 0 {
		c.applyFile("shop.yaml")
		c.expectReady("allegro-main")
		took := c.expectToken(1)
		saw("workload: it mounts the token %s after its pod and the account were applied, and the marketplace honours it", took)
	} else {
		c.settle("allegro-main", way.name)
		if after := c.report(); after.requests() != before.requests() {
			c.Errorf("the installation sent %d token requests", after.requests()-before.requests())
		}
		saw("shop: the account is taken over without a request to the marketplace")
	}
	c.expectRenewal(way.name)
	c.signIn(fmt.Sprintf("visitor-%d", number))

	kept := c.kept()
	c.expectLeader(c.upgradeWhileARenewalHangs(way, pods[0], prometheus))
	c.expectRenewal(way.name + ", upgraded")

	way.uninstall(c)
	c.eventually(func() error {
		if left := c.pods(); len(left) > 0 {
			return fmt.Errorf("%d pods are left", len(left))
		}
		return nil
	})
	now := c.kept()
	for name, uid := range kept {
		if now[name] != uid {
			c.Errorf("%s has not outlived the operator", name)
		}
	}
	report := c.report()
	if report.Total.DoubleSpends+report.Total.LostPairs+report.Total.AbandonedPairs > 0 {
		c.Errorf("the marketplace has seen %+v", report.Total)
	}
	saw("%s: uninstalled; account and Secrets stay. The marketplace has had %d token requests, none of a token that was spent", way.name, report.requests())
}

// upgradeWhileARenewalHangs upgrades while the marketplace takes its time over a renewal. The pod that waits for its answer stores it before it ends.
func (c *cluster) upgradeWhileARenewalHangs(way way, old corev1.Pod, prometheus string) []corev1.Pod {
	c.Helper()
	seen := len(c.tokens())
	c.press("slow?latency=20s")
	c.askForRenewal(way.name + ", hanging")
	underway := `tokenkeeper_token_host_requests_underway{host="` + host(marketplace) + `"} 1`
	c.eventually(func() error {
		if _, text := c.scrape(old, prometheus); !strings.Contains(text, underway) {
			return errors.New("no request is under way")
		}
		return nil
	})
	c.press("up") // for all other accounts
	start := time.Now()
	way.upgrade(c)
	pods := c.expectRunning(2)
	saw("%s: upgraded to two replicas and another flag in %.1f s, while a renewal hangs at the marketplace", way.name, time.Since(start).Seconds())
	for _, pod := range pods {
		if pod.Name == old.Name {
			c.Errorf("the pod %s has not been replaced", old.Name)
		}
	}
	c.expectToken(seen + 1)
	saw("workload: %.1f s after the upgrade began, it reads the token of the renewal that hung", time.Since(start).Seconds())
	return pods
}

// press presses a button of the demo marketplace.
func (c *cluster) press(action string) {
	c.Helper()
	request, err := http.NewRequestWithContext(c.Context(), http.MethodPost, marketplace+"/_demo/allegro/"+action, http.NoBody)
	if err != nil {
		c.Fatal(err)
	}
	response, err := c.browser().Do(request)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		c.Fatalf("%s is answered %s", action, response.Status)
	}
}

// pods are the pods of the operator that are not ending.
func (c *cluster) pods() []corev1.Pod {
	c.Helper()
	var list corev1.PodList
	if err := c.List(c.Context(), &list, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper"}); err != nil {
		c.Fatal(err)
	}
	var pods []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp.IsZero() {
			pods = append(pods, pod)
		}
	}
	return pods
}

// expectRunning waits until so many pods of the operator are ready, and those of the portal where it has its own, and looks whether none of the
// operator's was ever started twice.
func (c *cluster) expectRunning(replicas int) []corev1.Pod {
	c.Helper()
	c.rollOut(namespace, "tokenkeeper")
	var apart appsv1.Deployment
	switch err := c.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "tokenkeeper-portal"}, &apart); {
	case err == nil:
		c.rollOut(namespace, apart.Name)
	case !apierrors.IsNotFound(err):
		c.Fatal(err)
	}
	var pods []corev1.Pod
	c.eventually(func() error {
		if pods = c.pods(); len(pods) != replicas {
			return fmt.Errorf("there are %d pods, want %d", len(pods), replicas)
		}
		return nil
	})
	for _, pod := range pods {
		status := pod.Status.ContainerStatuses[0]
		if !status.Ready || status.RestartCount > 0 {
			c.Errorf("%s: ready %t, %d restarts\n%s", pod.Name, status.Ready, status.RestartCount, c.picture())
		}
	}
	return pods
}

// podSecurity is the standard that the operator's namespace enforces.
func (c *cluster) podSecurity() string {
	c.Helper()
	var own corev1.Namespace
	if err := c.Get(c.Context(), client.ObjectKey{Name: namespace}, &own); err != nil {
		c.Fatal(err)
	}
	enforced := own.Labels["pod-security.kubernetes.io/enforce"]
	if enforced != "restricted" {
		c.Errorf("the namespace enforces %q", enforced)
	}
	return enforced
}

// expectProbes asks the questions of the kubelet.
func (c *cluster) expectProbes(pods []corev1.Pod) {
	c.Helper()
	for _, pod := range pods {
		container := pod.Spec.Containers[0]
		if container.LivenessProbe == nil || container.ReadinessProbe == nil {
			c.Fatalf("%s has no probes", pod.Name)
		}
		for _, path := range []string{container.LivenessProbe.HTTPGet.Path, container.ReadinessProbe.HTTPGet.Path} {
			answer := c.try(c.kubectl, "get", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+pod.Name+":8081/proxy"+path)
			if !strings.HasPrefix(answer, "ok") {
				c.Errorf("%s answers %q", path, answer)
			}
		}
	}
	saw("probes: /healthz and /readyz answer ok")
}

// expectLeader waits until one of the pods holds the lease.
func (c *cluster) expectLeader(pods []corev1.Pod) {
	c.Helper()
	holder := ""
	took := c.eventually(func() error {
		var lease coordinationv1.Lease
		if err := c.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "tokenkeeper"}, &lease); err != nil {
			return err
		}
		for _, pod := range pods {
			if held := lease.Spec.HolderIdentity; held != nil && strings.HasPrefix(*held, pod.Name+"_") {
				holder = pod.Name
				return nil
			}
		}
		return fmt.Errorf("the lease is held by %v", lease.Spec.HolderIdentity)
	})
	saw("lease: %s leads, after %s", holder, took)
}

// expectMetrics scrapes a pod, as nobody and as Prometheus, whose token it returns.
func (c *cluster) expectMetrics(pod corev1.Pod) (prometheusToken string) {
	c.Helper()
	prometheus := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "e2e-ingress", Name: "prometheus"}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-metrics-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tokenkeeper-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: prometheus.Namespace, Name: prometheus.Name}},
	}
	for _, object := range []client.Object{prometheus, binding} {
		if err := c.Create(c.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			c.Fatal(err)
		}
	}
	c.eventually(func() error {
		_, err := c.run("", c.kubectl, "auth", "can-i", "get", "/metrics", "--as=system:serviceaccount:e2e-ingress:prometheus")
		return err
	})
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(c.Context(), prometheus, request); err != nil {
		c.Fatal(err)
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, request.Status.Token: http.StatusOK} {
		status, text := c.scrape(pod, token)
		if status != want || strings.Contains(text, "tokenkeeper_build_info{") != (want == http.StatusOK) {
			c.Errorf("the metrics answer %d, want %d", status, want)
		}
	}
	saw("metrics: over TLS, refused without a token, read by a ServiceAccount with tokenkeeper-metrics-reader")
	return request.Status.Token
}

// scrape reads the metrics of a pod; without a token, as nobody.
func (c *cluster) scrape(pod corev1.Pod, token string) (status int, text string) {
	c.Helper()
	page, err := http.NewRequestWithContext(c.Context(), http.MethodGet, "https://"+c.forward(namespace, "pod/"+pod.Name, "8080")+"/metrics", http.NoBody)
	if err != nil {
		c.Fatal(err)
	}
	if token != "" {
		page.Header.Set("Authorization", "Bearer "+token)
	}
	anybody := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // as in config/components/monitoring
	defer anybody.CloseIdleConnections()
	response, err := anybody.RoundTrip(page)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (c *cluster) account(name string) *v1alpha1.MarketplaceAccount {
	c.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	if err := c.Get(c.Context(), client.ObjectKey{Namespace: "shop", Name: name}, account); err != nil {
		c.Fatal(err)
	}
	return account
}

// expectReady waits until an account is.
func (c *cluster) expectReady(name string) {
	c.Helper()
	c.eventually(func() error {
		conditions := c.account(name).Status.Conditions
		if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue {
			return fmt.Errorf("%s is not Ready: %+v", name, conditions)
		}
		return nil
	})
}

// settle changes the name that people gave an account, and waits until the operator has looked at it.
func (c *cluster) settle(name, given string) {
	c.Helper()
	account := c.account(name)
	before := account.DeepCopy()
	account.Spec.Login = given
	if err := c.Patch(c.Context(), account, client.MergeFrom(before)); err != nil {
		c.Fatal(err)
	}
	c.eventually(func() error {
		if account := c.account(name); account.Status.ObservedGeneration != account.Generation {
			return errors.New("the operator has not looked at the account since it changed")
		}
		return nil
	})
	c.expectReady(name)
}

// tokens are the lines of the workload: one for each token that it has seen.
func (c *cluster) tokens() []string {
	c.Helper()
	out, err := c.run("", c.kubectl, "-n", "shop", "logs", "deployment/workload")
	if err != nil {
		return nil // its pod does not run yet
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}

// expectToken waits until the workload has called the marketplace with its token of that number.
func (c *cluster) expectToken(number int) time.Duration {
	c.Helper()
	want := fmt.Sprintf("token %d: 200 OK", number)
	return c.eventually(func() error {
		if lines := c.tokens(); len(lines) < number || lines[number-1] != want {
			return fmt.Errorf("the workload says %q, want %q", lines, want)
		}
		return nil
	})
}

// expectRenewal asks for a renewal, and waits until the workload has its token.
func (c *cluster) expectRenewal(why string) {
	c.Helper()
	seen := len(c.tokens())
	c.askForRenewal(why)
	took := c.expectToken(seen + 1)
	saw("workload: %s after a renewal was asked for, it reads the new token from its volume, and the marketplace honours it", took)
}

// askForRenewal annotates the account; why is another each time.
func (c *cluster) askForRenewal(why string) {
	c.Helper()
	account := c.account("allegro-main")
	before := account.DeepCopy()
	metav1.SetMetaDataAnnotation(&account.ObjectMeta, v1alpha1.AnnotationRenew, why)
	if err := c.Patch(c.Context(), account, client.MergeFrom(before)); err != nil {
		c.Fatal(err)
	}
}

// signIn walks a person through the ingress: from the link of an account to the marketplace and back.
func (c *cluster) signIn(name string) {
	c.Helper()
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "allegro-app"},
			Grant:                v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode},
		},
	}
	if err := c.Create(c.Context(), account); err != nil {
		c.Fatal(err)
	}
	var link string
	c.eventually(func() error {
		if status := c.account(name).Status.SignIn; status != nil {
			link = status.URL
		}
		if !strings.HasPrefix(link, portal+"/sign-in/") {
			return fmt.Errorf("the link of %s is %q: %+v", name, link, c.account(name).Status.Conditions)
		}
		return nil
	})
	browser := c.browser()
	c.eventually(func() error { // the ingress controller looks for routes now and then
		if status, _ := c.page(browser, link); status != http.StatusOK {
			return fmt.Errorf("the ingress answers %d", status)
		}
		return nil
	})
	person := demomarket.Person{User: demomarket.OtherUser, Password: demomarket.DefaultPassword}
	back, err := person.SignIn(c.Context(), browser, marketplace, link)
	if err != nil {
		c.Fatal(err)
	}
	status, text := c.page(browser, back.String())
	if status != http.StatusOK || !strings.Contains(text, "Signed in at Allegro") || !strings.Contains(text, "Example Ltd") {
		c.Errorf("in the end the page says %d\n%s", status, text)
	}
	c.expectReady(name)
	for _, path := range []string{"/", "/metrics", "/healthz"} {
		if status, text := c.page(browser, portal+path); status != http.StatusNotFound || strings.Contains(text, "tokenkeeper") {
			c.Errorf("%s is answered %d through the ingress", path, status)
		}
	}
	if err := c.Delete(c.Context(), account); err != nil {
		c.Fatal(err)
	}
	saw("ingress: a person followed a link, signed in at the marketplace and came back; /, /metrics and /healthz are not led to the portal")
}

// page loads a page.
func (c *cluster) page(browser *http.Client, address string) (status int, text string) {
	c.Helper()
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		c.Fatal(err)
	}
	response, err := browser.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// kept are the shop's account and the Secrets that the operator made.
func (c *cluster) kept() map[string]types.UID {
	c.Helper()
	kept := map[string]types.UID{"account": c.account("allegro-main").UID}
	for _, name := range []string{"allegro-main-token", "allegro-main-grant"} {
		var secret corev1.Secret
		if err := c.Get(c.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &secret); err != nil {
			c.Fatal(err)
		}
		kept["Secret "+name] = secret.UID
	}
	return kept
}

// judgement is the demo marketplace's record of the requests.
type judgement demomarket.Report

// requests are the requests to token endpoints.
func (j judgement) requests() int { return j.Total.Count("", "") }

func (c *cluster) report() judgement {
	c.Helper()
	status, text := c.page(c.browser(), marketplace+"/_demo/report")
	var seen judgement
	if err := json.Unmarshal([]byte(text), &seen); err != nil || status != http.StatusOK {
		c.Fatalf("the marketplace reports %d %s, error %v", status, text, err)
	}
	return seen
}
