package chart_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
)

// right is a verb that a role allows: in one namespace or, where that is empty, in the whole cluster.
type right struct {
	namespace, group, resource, name, verb string
}

func (r right) String() string {
	where, what := "in the whole cluster", r.resource
	if r.namespace != "" {
		where = "in namespace " + r.namespace
	}
	if r.group != "" {
		what += "." + r.group
	}
	if r.name != "" {
		what += " " + r.name
	}
	return r.verb + " " + what + " " + where
}

// ownerRight is asked for by the admission plugin OwnerReferencesPermissionEnforcement, and not by a request of its own: OpenShift has that
// plugin. That it is needed there is tried.
const ownerRight = "update marketplaceaccounts/finalizers.tokenkeeper.dev"

// slowCacheRight is used where the cache stays behind what the process has written, which a story cannot bring about from outside.
const slowCacheRight = "get marketplaceaccounts.tokenkeeper.dev"

// audit lets an API server write down every request of the operator's ServiceAccount.
func audit(t *testing.T) (file string, configure func(*envtest.APIServer)) {
	t.Helper()
	folder := t.TempDir()
	policy := filepath.Join(folder, "policy.yaml")
	if err := os.WriteFile(policy, []byte(`
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["`+serviceAccountUser+`", "`+serviceAccountUser+`-portal"]}
- {level: None}`), 0o600); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(folder, "audit.log")
	return file, func(server *envtest.APIServer) {
		server.Configure().Append("audit-policy-file", policy).Append("audit-log-path", file).
			Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	}
}

// serviceAccountUser is the user name of the operator.
const serviceAccountUser = "system:serviceaccount:" + namespace + ":tokenkeeper"

// audited is a line of the audit log, as far as it matters here.
type audited struct {
	User             struct{ Username string }
	Verb, RequestURI string
	ObjectRef        *struct{ Resource, Subresource, APIGroup, Namespace, Name string }
	ResponseStatus   struct{ Code int }
}

// requests are the requests that the operator and the portal have made. A line that is being written comes next time.
func requests(t *testing.T, file string) []audited {
	t.Helper()
	log, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var all []audited
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one audited
		if json.Unmarshal(lines.Bytes(), &one) == nil && one.ObjectRef != nil {
			all = append(all, one)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// uses tells whether a request of a ServiceAccount makes use of a right.
func (a audited) uses(serviceAccount string, r right) bool {
	resource := a.ObjectRef.Resource
	if a.ObjectRef.Subresource != "" {
		resource += "/" + a.ObjectRef.Subresource
	}
	return a.User.Username == "system:serviceaccount:"+namespace+":"+serviceAccount && a.Verb == r.verb && resource == r.resource && a.ObjectRef.APIGroup == r.group && a.ResponseStatus.Code < 300 &&
		(r.namespace == "" || a.ObjectRef.Namespace == r.namespace) && (r.name == "" || a.ObjectRef.Name == r.name)
}

// rights are all that a ServiceAccount of the release is given in the cluster.
func (c cluster) rights(t *testing.T, serviceAccount string) map[right]bool {
	t.Helper()
	given := map[right]bool{}
	isOurs := func(subject rbacv1.Subject) bool {
		return subject.Namespace == namespace && subject.Name == serviceAccount
	}
	var everywhere rbacv1.ClusterRoleBindingList
	var somewhere rbacv1.RoleBindingList
	if err := errors.Join(c.List(t.Context(), &everywhere), c.List(t.Context(), &somewhere)); err != nil {
		t.Fatal(err)
	}
	for _, binding := range everywhere.Items {
		if slices.ContainsFunc(binding.Subjects, isOurs) {
			var role rbacv1.ClusterRole
			if err := c.Get(t.Context(), client.ObjectKey{Name: binding.RoleRef.Name}, &role); err != nil {
				t.Fatal(err)
			}
			spread(given, "", role.Rules)
		}
	}
	for _, binding := range somewhere.Items {
		if slices.ContainsFunc(binding.Subjects, isOurs) {
			var role rbacv1.Role
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: binding.Namespace, Name: binding.RoleRef.Name}, &role); err != nil {
				t.Fatal(err)
			}
			spread(given, binding.Namespace, role.Rules)
		}
	}
	return given
}

// spread adds every combination that rules allow.
func spread(given map[right]bool, in string, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						given[right{in, group, resource, name, verb}] = true
					}
				}
			}
		}
	}
}

// TestEveryRightIsUsed tells the main stories to an operator that has the rights of the chart and no other, in both modes, with the portal apart and in
// one process (in the short form the whole cluster alone): first tokens by every grant, renewals, edits, a sign-in through the portal, its buttons, and the
// end of accounts. A verb that the API server's audit log does not show then is one too many, and a request that it refuses is one too few.
func TestEveryRightIsUsed(t *testing.T) {
	for mode, values := range map[string]string{
		"the whole cluster": "",
		"some namespaces":   "watch: {namespaces: [shop], applicationSecrets: [{namespace: applications, name: shared-app}]}",
		"one process":       oneProcess,
	} {
		if testing.Short() && values != "" {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			file, configure := audit(t)
			c := startCluster(t, helms["4"], configure)
			tellMainStories(t, c, values)

			given := c.rights(t, "tokenkeeper")
			serviceAccounts := map[string]map[right]bool{"tokenkeeper": given}
			if values != oneProcess {
				serviceAccounts["tokenkeeper-portal"] = c.rights(t, "tokenkeeper-portal")
				expectSmallRights(t, serviceAccounts["tokenkeeper-portal"])
			}
			var unused []string
			eventually(t, func() error { // events are written when there is time
				unused = nil
				made := requests(t, file)
				for name, rights := range serviceAccounts {
					for one := range rights {
						used := slices.ContainsFunc(made, func(a audited) bool { return a.uses(name, one) })
						if !used && !strings.HasPrefix(one.String(), ownerRight) && !(name == "tokenkeeper-portal" && strings.HasPrefix(one.String(), slowCacheRight)) {
							unused = append(unused, name+": "+one.String())
						}
					}
				}
				if len(unused) > 0 {
					slices.Sort(unused)
					return fmt.Errorf("no story needs these rights; take them away, or tell the one that does:\n%s", strings.Join(unused, "\n"))
				}
				return nil
			})
			for _, one := range requests(t, file) {
				if one.ResponseStatus.Code == 403 {
					t.Errorf("%s may not %s %s", one.User.Username, one.Verb, one.RequestURI)
				}
			}
			c.expectOwnerRightIsNeeded(t, given)
		})
	}
}

// oneProcess are the values of an installation whose portal is in the operator's process.
const oneProcess = "portal: {separate: false}"

// expectSmallRights looks for rights that a portal with pods of its own must not have.
func expectSmallRights(t *testing.T, given map[right]bool) {
	t.Helper()
	if len(given) == 0 {
		t.Error("the portal has no rights of its own")
	}
	for one := range given {
		switch {
		case strings.HasPrefix(one.verb, "delete"), strings.HasSuffix(one.resource, "/status"), one.resource == "leases",
			one.resource == "secrets" && one.verb == "create":
			t.Errorf("the portal may %s", one)
		}
	}
}

// tellMainStories lets the operator do all that it does.
func tellMainStories(t *testing.T, c cluster, values string) {
	t.Helper()
	company := authority.New(t, "Company")
	market := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
	server, _ := serveTLS(t, market, company.Certify(t, "allegro.example", "api.allegro.example", "login.example"))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := c.openShop(t, market)
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "applications"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shared-app", Namespace: "applications"}, StringData: map[string]string{
			"client_id": clientOf("shared"), "client_secret": clientOf("shared") + "-secret",
		}})
	s.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tokenkeeper-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "prometheus", Namespace: s.namespace}},
	})
	front := startFront(t)
	apart := values != oneProcess
	if !apart {
		values = ""
	}
	installed := values + fmt.Sprintf(`
hostAliases: [{ip: 127.0.0.1, hostnames: [allegro.example, api.allegro.example, login.example]}]
caBundle: {pem: %q}
portal: {url: %q, separate: %t}
extraArgs: [--deny-private-addresses=false]`, company.PEM, front.url, apart)
	c.release(t, "tokenkeeper", operator, installed)
	c.waitForKinds(t)
	c.release(t, "tokenkeeper-marketplaces", marketplaces, strings.ReplaceAll(`
allegro:
  overrides:
    environments: [{name: Production, variables: [{name: host, value: "allegro.example:PORT"}]}]
    application:
      secretRef: {name: shared-app, namespace: applications}
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
oidc:
  enabled: true
  overrides:
    environments: [{name: Production, variables: [{name: host, value: "login.example:PORT"}]}]
    endpoints: {issuer: "https://{host}/oidc"}`, "PORT", port))
	replica := c.startReplica(t, image{program: operatorProgram})
	replica.waitReady()
	pages := replica
	if apart {
		want(t, replica.addresses["portal"], "")
		pages = c.startPod(t, "tokenkeeper-portal", image{program: operatorProgram})
		pages.waitReady()
	}
	front.leadTo("http://" + pages.addresses["portal"])
	want(t, replica.scrape(""), "401 Unauthorized")
	want(t, replica.scrape(s.bearer("stranger")), "403 Forbidden")
	prometheus := s.bearer("prometheus")
	want(t, replica.scrape(prometheus), "200 OK")
	want(t, pages.scrape(prometheus), "200 OK")

	// First tokens: imported, with the application of a Marketplace, by a code, and by a browser through the portal.
	s.imported("imported", "allegro")
	s.imported("ending", "oidc", func(account *v1alpha1.MarketplaceAccount) { account.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
	s.imported("shared", "allegro", func(account *v1alpha1.MarketplaceAccount) {
		account.Spec.ApplicationSecretRef = v1alpha1.SecretReference{}
	})
	s.account("coded", "allegro", v1alpha1.Grant{Type: v1alpha1.GrantDeviceCode})
	s.account("invited", "allegro", v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode}, func(account *v1alpha1.MarketplaceAccount) {
		account.Spec.ApplicationSecretRef = v1alpha1.SecretReference{} // the portal reads that of the Marketplace
	})
	s.expectHonoured("imported", "allegro", "")
	s.expectHonoured("ending", "oidc", "")
	s.expectHonoured("shared", "allegro", "")
	s.approve("coded", "allegro")
	s.expectHonoured("coded", "allegro", "")
	front.signIn(s, "invited", "https://allegro.example:"+port, company)
	s.expectHonoured("invited", "allegro", "")

	// Renewals by annotation and by a button of the portal, and a connection that is tested.
	s.renew("imported", "allegro", "once")
	front.renew(s, "imported", "allegro")
	s.annotate("imported", v1alpha1.AnnotationVerify, "now")
	eventually(t, func() error {
		if handled := s.get("imported").Status.Handled; handled == nil || handled.Verify != "now" {
			return fmt.Errorf("the connection was not tested: %v", handled)
		}
		return nil
	})

	// Another name for the token Secret, and the end of an account, which the cluster does not let go at first: the event of its end repeats.
	s.edit("imported", func(account *v1alpha1.MarketplaceAccount) { account.Spec.TokenSecret.Name = "elsewhere" })
	eventually(t, func() error {
		if len(s.token("imported")) > 0 {
			return errors.New("the token Secret of the former name is still there")
		}
		return nil
	})
	letGo := s.hold("ending")
	if err := s.Delete(t.Context(), s.get("ending")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		var events eventsv1.EventList
		if err := s.List(t.Context(), &events, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(event eventsv1.Event) bool { return event.Reason == "GrantRevoked" && event.Series != nil }) {
			return errors.New("no event of a revoked grant is counted twice")
		}
		return nil
	})
	letGo()
	eventually(t, func() error {
		account := &v1alpha1.MarketplaceAccount{}
		if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "ending"}, account); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("the account is not let go"), err)
		}
		return nil
	})
	want(t, market.Platform("oidc").Report().LiveFamilies, 0)
	replica.terminate()
	if apart {
		pages.terminate()
	}

	// An API server of before Kubernetes 1.32 does not stream what there is: then it is listed.
	c.release(t, "tokenkeeper", operator, installed+"\nextraEnv: [{name: KUBE_FEATURE_WatchListClient, value: 'false'}]")
	c.startReplica(t, image{program: operatorProgram}).waitReady()
	if apart {
		c.startPod(t, "tokenkeeper-portal", image{program: operatorProgram}).waitReady()
	}
}

// hold lets the cluster refuse every change of an account that is being deleted, as a policy of its admin may.
func (s *shop) hold(name string) (letGo func()) {
	s.t.Helper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "hold"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"marketplaceaccounts"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "object.metadata.name != '" + name + "'", Message: "not yet"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "hold"},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "hold", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	s.create(policy, binding)
	eventually(s.t, func() error { // it takes the API server a moment
		account := s.get(name)
		account.Spec.Login = "held"
		if err := s.Update(s.t.Context(), account, client.DryRunAll); err == nil {
			return errors.New("the policy does not count yet")
		}
		return nil
	})
	return func() {
		s.t.Helper()
		if err := errors.Join(s.Delete(s.t.Context(), binding), s.Delete(s.t.Context(), policy)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// expectOwnerRightIsNeeded tries whether a Secret may name its account as an owner that cannot go before it, with and without the right.
func (c cluster) expectOwnerRightIsNeeded(t *testing.T, given map[right]bool) {
	t.Helper()
	if !slices.ContainsFunc(slices.Collect(maps.Keys(given)), func(one right) bool { return strings.HasPrefix(one.String(), ownerRight) }) {
		t.Fatalf("the operator may not %s", ownerRight)
	}
	as := rest.CopyConfig(c.admin)
	as.Impersonate = rest.ImpersonationConfig{UserName: serviceAccountUser, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	asOperator, err := client.New(as, client.Options{Scheme: c.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	account := &v1alpha1.MarketplaceAccount{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "imported"}, account); err != nil {
		t.Fatal(err)
	}
	try := func() error {
		owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "owned", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(account, v1alpha1.GroupVersion.WithKind("MarketplaceAccount")),
		}}}
		return asOperator.Create(t.Context(), owned, client.DryRunAll)
	}
	if err := try(); err != nil {
		t.Errorf("with the right: %v", err)
	}
	withoutFinalizers := func(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
		return slices.DeleteFunc(rules, func(rule rbacv1.PolicyRule) bool {
			return slices.Contains(rule.Resources, "marketplaceaccounts/finalizers")
		})
	}
	var everywhere rbacv1.ClusterRole
	if err := c.Get(t.Context(), client.ObjectKey{Name: "tokenkeeper"}, &everywhere); err != nil {
		t.Fatal(err)
	}
	everywhere.Rules = withoutFinalizers(everywhere.Rules)
	err = c.Update(t.Context(), &everywhere)
	var watched rbacv1.Role
	if notThere := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "tokenkeeper-watched"}, &watched); notThere == nil {
		watched.Rules = withoutFinalizers(watched.Rules)
		err = errors.Join(err, c.Update(t.Context(), &watched))
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := try(); !apierrors.IsForbidden(err) {
			return errors.Join(errors.New("the right is not needed: without it this is the answer"), err)
		}
		return nil
	})
}
