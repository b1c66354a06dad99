package chaos_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// greedyTenants write as much as the API server takes: Secrets that look like the operator's own, accounts with annotations of 250 kB, and
// templates that grow. The operator starts, and keeps the accounts of other tenants, under the memory limit that is shipped.
func greedyTenants(t *testing.T) {
	c, secrets, accounts := shared, 60, 150
	if *long {
		secrets, accounts = 600**greed, 1500**greed
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		var err error
		c, err = startCluster(ctx, t.TempDir(), "--quota-backend-bytes=16000000000")
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		t.Cleanup(c.stop)
	}
	w := newWorld(t, c)
	for i := range 20 {
		w.account(strict, fmt.Sprintf("strict-%d", i))
	}
	w.account(application, "application")
	o := w.operator()
	memories := o.limited()
	o.start()
	w.expectAtRest()
	o.expectPages()
	calm := memories.peaks()
	w.inParallel(secrets, func(i int) { w.create(plantedGrant(w.ns, fmt.Sprintf("greedy-%d", i))) })
	w.inParallel(accounts, func(i int) { w.create(w.greedyAccount(fmt.Sprintf("greedy-%d", i))) })
	w.renew(w.accounts...)
	w.expectAtRest()
	o.kill() // and again at a start, when all of it is there
	o.start()
	w.renew(w.accounts...)
	w.expectAtRest()
	o.expectPages()
	for _, name := range []string{"greedy-0", fmt.Sprintf("greedy-%d", accounts-1)} {
		w.Eventually(func() string { return w.says(&account{name: name}, v1alpha1.ConditionReady) }).Should(
			HavePrefix("False "+v1alpha1.ReasonInvalidSpec), "the template is refused before there is a token")
	}
	for i, peak := range memories.peaks() {
		m := memories[i]
		t.Logf("%d Secrets of 0.7 MB and %d accounts of 250 kB, %s, %s: at most %d MiB before and %d MiB with them, of %d",
			secrets, accounts, m.of.name, m.how, calm[i]>>20, peak>>20, m.limit>>20)
	}
	memories.expectKept()
}

// inParallel calls a function so many times, some of them at once.
func (w *world) inParallel(times int, do func(i int)) {
	next := make(chan int)
	ended := make(chan struct{})
	const workers = 8
	for range workers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for i := range next {
				do(i)
			}
		}()
	}
	for i := range times {
		next <- i
	}
	close(next)
	for range workers {
		<-ended
	}
}

// plantedGrant looks like the grant Secret of an account, and comes before it.
func plantedGrant(namespace, name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + v1alpha1.GrantSecretSuffix, Labels: map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAccount: name,
		}},
		Type: v1alpha1.SecretTypeGrant,
		Data: map[string][]byte{"grant.json": []byte("{}"), "more": bytes.Repeat([]byte("x"), 700_000)},
	}
}

// greedyAccount has a large annotation, and a template that would be 200 MB of text once its token is longer than a sample.
func (w *world) greedyAccount(name string) client.Object {
	return &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name, Annotations: map[string]string{"note": strings.Repeat("x", 250_000)}},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: w.ns + "-" + application.platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
			Grant:                v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials},
			TokenSecret: v1alpha1.TokenSecret{Template: &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{
				"x": v1alpha1.DataTemplate("{{ if gt (len .access_token) 200 }}{{ print" + strings.Repeat(" .", 1990) + " }}{{ end }}"),
			}}},
		},
	}
}
