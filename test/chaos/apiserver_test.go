package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// someTime is how long a fault lasts while renewals are asked for.
const someTime = time.Second

// badAPIServer renews accounts of all kinds while the API server answers badly. Nothing may be lost by that, on a strict
// platform neither: the operator has the pair, and goes on trying to store it.
func badAPIServer(t *testing.T) {
	w := newWorld(t, shared)
	o := w.started()
	for _, k := range kinds {
		for i := range 2 {
			w.account(k, fmt.Sprint(k.name, "-", i))
		}
	}
	w.expectAtRest()
	writes := (*call).writes
	secrets := func(c *call) bool { return c.writes() && c.resource == "secrets" }
	stores := func(c *call) bool { return c.stores }
	for _, fault := range []struct {
		name string
		interception
	}{
		{"409 to every write", interception{match: writes, before: refuse(http.StatusConflict, metav1.StatusReasonConflict)}},
		{"429 to every write", interception{match: writes, before: refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)}},
		{"500 to every write", interception{match: writes, before: refuse(http.StatusInternalServerError, metav1.StatusReasonInternalError)}},
		{"503 to what stores a pair", interception{match: stores, before: refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)}},
		{"409 to what stores a pair", interception{match: stores, before: refuse(http.StatusConflict, metav1.StatusReasonConflict)}},
		{"403 to writes of Secrets", interception{match: secrets, before: refuse(http.StatusForbidden, metav1.StatusReasonForbidden)}},
		{"403 to what stores a pair", interception{match: stores, before: refuse(http.StatusForbidden, metav1.StatusReasonForbidden)}},
		{"connections that break before a write", interception{match: writes, before: func(context.Context, http.ResponseWriter) bool {
			panic(http.ErrAbortHandler)
		}}},
		{"connections that break after a write", interception{match: writes, after: func(context.Context) error { return http.ErrAbortHandler }}},
		{"an API server that takes a second for everything", interception{
			match: func(*call) bool { return true },
			before: func(ctx context.Context, _ http.ResponseWriter) bool {
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				return false
			},
		}},
	} {
		var hits atomic.Int64
		counted := fault.interception
		counted.match = func(c *call) bool { return fault.match(c) && hits.Add(1) > 0 }
		remove := o.proxy.add(&counted)
		w.renew(w.accounts...)
		w.Eventually(hits.Load).Should(BeNumerically(">", 0), fault.name)
		<-time.After(someTime)
		remove()
		w.expectAtRest()
		if t.Failed() {
			t.Fatalf("after %s", fault.name)
		}
	}
	w.renew(w.accounts...)
	find := o.loseAPIServer()
	<-time.After(someTime)
	find()
	w.expectAtRest()
}

// refuse answers in the API server's place.
func refuse(status int, reason metav1.StatusReason) func(context.Context, http.ResponseWriter) bool {
	return func(_ context.Context, w http.ResponseWriter) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"refused by the fault suite","reason":%q,"code":%d}`, reason, status)
		return true
	}
}

// refusedWrites renews accounts while the cluster itself does not let the operator write its Secrets.
func refusedWrites(t *testing.T) {
	t.Run("no rights", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared)
		w.started()
		w.accountsOfAllKinds("")
		w.expectAtRest()
		w.bind(w.user, w.roleWithoutSecretWrites())
		w.renew(w.accounts...)
		<-time.After(someTime)
		w.bind(w.user, "tokenkeeper")
		w.expectAtRest()
	})
	t.Run("no quota", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared)
		o := w.started()
		w.accountsOfAllKinds("")
		w.expectAtRest()
		o.kill()
		w.accountsOfAllKinds("-new")
		quota := w.quota()
		o.start()
		w.renew(w.accounts[:len(kinds)]...) // a write of a Secret that is there needs no quota
		for _, a := range w.accounts[:len(kinds)] {
			w.expectAccount(a)
		}
		<-time.After(someTime)
		w.Expect(w.cluster.kube.Delete(context.Background(), quota)).To(Succeed())
		w.expectAtRest()
	})
	t.Run("Secrets that cannot be changed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared)
		o := w.started()
		w.accountsOfAllKinds("")
		w.expectAtRest()
		w.freeze("grant")
		w.renew(w.accounts...)
		<-time.After(someTime)
		o.kill()
		w.thaw("grant")
		o.start()
		w.expectAtRest()
		w.freeze("token")
		w.renew(w.accounts...)
		<-time.After(someTime)
		w.thaw("token")
		w.expectAtRest()
	})
}

// accountsOfAllKinds creates one of each kind.
func (w *world) accountsOfAllKinds(suffix string) {
	w.t.Helper()
	for _, k := range kinds {
		w.account(k, k.name+suffix)
	}
}

// roleWithoutSecretWrites is the operator's role, but for that.
func (w *world) roleWithoutSecretWrites() string {
	w.t.Helper()
	role := &rbacv1.ClusterRole{}
	w.Expect(w.cluster.kube.Get(context.Background(), client.ObjectKey{Name: "tokenkeeper"}, role)).To(Succeed())
	role.ObjectMeta = metav1.ObjectMeta{Name: "reader-" + w.ns}
	for i, rule := range role.Rules {
		if len(rule.Resources) == 1 && rule.Resources[0] == "secrets" {
			role.Rules[i].Verbs = []string{"get", "list", "watch"}
		}
	}
	w.create(role)
	return role.Name
}

// quota allows no further Secret in the story's namespace. No controller here counts but the story.
func (w *world) quota() *corev1.ResourceQuota {
	w.t.Helper()
	secrets := &corev1.SecretList{}
	w.Expect(w.cluster.kube.List(context.Background(), secrets, client.InNamespace(w.ns))).To(Succeed())
	limit := corev1.ResourceList{corev1.ResourceSecrets: *resource.NewQuantity(int64(len(secrets.Items)), resource.DecimalSI)}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "secrets", Namespace: w.ns},
		Spec:       corev1.ResourceQuotaSpec{Hard: limit},
	}
	w.create(quota)
	quota.Status = corev1.ResourceQuotaStatus{Hard: limit, Used: limit}
	w.Expect(w.cluster.kube.Status().Update(context.Background(), quota)).To(Succeed())
	return quota
}

// freeze makes a Secret of each account immutable.
func (w *world) freeze(which string) {
	w.t.Helper()
	for _, a := range w.accounts {
		w.Eventually(func() error {
			secret, err := w.secretOf(a, which)
			if err != nil {
				return err
			}
			secret.Immutable = new(true)
			return w.cluster.kube.Update(context.Background(), secret)
		}).Should(Succeed())
	}
}

// thaw is how an admin undoes that: he deletes a token Secret, and replaces a grant Secret by one that says the same, while there
// is no operator that would take it for lost.
func (w *world) thaw(which string) {
	w.t.Helper()
	for _, a := range w.accounts {
		secret, err := w.secretOf(a, which)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(w.cluster.kube.Delete(context.Background(), secret)).To(Succeed())
		if which == "grant" {
			secret.Immutable, secret.ResourceVersion, secret.UID = nil, "", ""
			w.create(secret)
		}
	}
}

// stoppedAPIServer stops the whole API server while renewals are under way, for less than the grace and for longer.
func stoppedAPIServer(t *testing.T) {
	w := newWorld(t, ownCluster(t))
	w.started()
	w.accountsOfAllKinds("")
	w.expectAtRest()
	for _, away := range []time.Duration{5 * time.Second, 90 * time.Second} {
		w.renew(w.accounts...)
		<-time.After(20 * time.Millisecond) // into the renewals
		w.cluster.stopAPIServer()
		<-time.After(away)
		w.Expect(w.cluster.api.Start()).To(Succeed())
		w.expectAtRest()
	}
}

// killedEtcd kills etcd while renewals are under way.
func killedEtcd(t *testing.T) {
	w := newWorld(t, ownCluster(t))
	w.started()
	for _, k := range kinds {
		for i := range 4 {
			w.account(k, fmt.Sprint(k.name, "-", i))
		}
	}
	w.expectAtRest()
	for round := range 5 {
		w.renew(w.accounts...)
		<-time.After(time.Duration(round) * 20 * time.Millisecond) // into the renewals
		w.cluster.etcd.kill()
		<-time.After(5 * time.Second)
		w.Expect(w.cluster.etcd.start()).To(Succeed())
		w.expectAtRest()
	}
}

// fullDisk lets etcd run into the quota that keeps a disk from filling up: it takes no write any more.
func fullDisk(t *testing.T) {
	w := newWorld(t, ownCluster(t, "--quota-backend-bytes=33554432"))
	w.started()
	w.accountsOfAllKinds("")
	w.expectAtRest()
	filler := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "filler-", Namespace: w.ns}, BinaryData: map[string][]byte{"x": make([]byte, 700<<10)},
	}
	w.Eventually(func() error { return w.cluster.kube.Create(context.Background(), filler.DeepCopy()) }).Should(
		MatchError(ContainSubstring("database space exceeded")))
	w.expectNothingSpentOnFullDisk()
	w.makeRoom()
	w.renew(w.accounts...)
	w.expectAtRest()
}

// expectNothingSpentOnFullDisk lets a restarted operator look at accounts whose renewal is due.
func (w *world) expectNothingSpentOnFullDisk() {
	w.t.Helper()
	before := w.market.Platform(strict.platform).Report()
	o := w.operator()
	o.setClock(12 * time.Hour) // every token has expired
	o.start()
	w.Eventually(func() (string, error) {
		text, err := os.ReadFile(o.log.path)
		return string(text), err
	}).Should(ContainSubstring("database space exceeded"))
	<-time.After(someTime)
	o.kill()
	after := w.market.Platform(strict.platform).Report()
	w.Expect(after.Count("", "")).To(Equal(before.Count("", "")), "token requests whose answer could not have been stored")
}

// makeRoom takes the steps of an administrator of etcd.
func (w *world) makeRoom() {
	w.t.Helper()
	w.Expect(w.cluster.kube.DeleteAllOf(context.Background(), &corev1.ConfigMap{}, client.InNamespace(w.ns))).To(Succeed())
	status, err := w.cluster.etcd.call("/v3/maintenance/status", "{}")
	w.Expect(err).NotTo(HaveOccurred())
	var etcd struct {
		Header struct {
			Revision string `json:"revision"`
			MemberID string `json:"member_id"`
		} `json:"header"`
	}
	w.Expect(json.Unmarshal([]byte(status), &etcd)).To(Succeed())
	for _, step := range [][2]string{
		{"/v3/kv/compaction", `{"revision":"` + etcd.Header.Revision + `","physical":true}`},
		{"/v3/maintenance/defragment", "{}"},
		{"/v3/maintenance/alarm", `{"action":"DEACTIVATE","alarm":"NOSPACE","memberID":"` + etcd.Header.MemberID + `"}`},
	} {
		_, err := w.cluster.etcd.call(step[0], step[1])
		w.Expect(err).NotTo(HaveOccurred())
	}
}

// ownCluster is one that a story may break.
func ownCluster(t *testing.T, etcdArgs ...string) *cluster {
	t.Helper()
	c, err := startCluster(context.Background(), t.TempDir(), etcdArgs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}
