package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// expectAtRest expects that these hold once a story's faults are over:
//
//   - every account is Ready, no person has to do anything, and every request of a person is handled; but an account whose pair a kill took
//     says so, and why;
//   - workloads read the newest tokens that the marketplace gave, and the marketplace honours them;
//   - the judge has seen no refresh token spent twice outside its grace, and every consent lives but the consents of lost accounts;
//   - the observer has seen no token, and no grant, go back to an older one, and no account ask for a person without need.
func (w *world) expectAtRest() {
	w.t.Helper()
	for _, a := range w.accounts {
		w.expectAccount(a)
	}
	w.expectJudged()
	w.Expect(w.cluster.observer.problemsOf(w.ns)).To(BeEmpty())
}

// expectAccount waits until one account is as it must be.
func (w *world) expectAccount(a *account) {
	w.t.Helper()
	if a.lost {
		w.expectLost(a)
		return
	}
	w.Eventually(func() error { return w.inOrder(a) }).Should(Succeed(), func() string {
		return fmt.Sprintf("%s: Ready %s\nAuthenticated %s\nReauthRequired %s", a.name,
			w.says(a, v1alpha1.ConditionReady), w.says(a, v1alpha1.ConditionAuthenticated), w.says(a, v1alpha1.ConditionReauthRequired))
	})
}

// inOrder names the faults of an account.
func (w *world) inOrder(a *account) error {
	for conditionType, wanted := range map[string]string{
		v1alpha1.ConditionReady: "True TokenValid", v1alpha1.ConditionAuthenticated: "True TokenValid",
		v1alpha1.ConditionReauthRequired: "False NotRequired",
	} {
		if says := w.says(a, conditionType); !strings.HasPrefix(says, wanted) {
			return fmt.Errorf("%s is %s", conditionType, says)
		}
	}
	if handled, err := w.handled(a); err != nil || handled != a.renewals {
		return fmt.Errorf("of %d renewals asked for, %d are done: %w", a.renewals, handled, err)
	}
	return w.current(a)
}

// current tells how the token of workloads differs from the last one of the marketplace; nil when it does not.
func (w *world) current(a *account) error {
	token, err := w.secretOf(a, "token")
	if err != nil {
		return err
	}
	grant, err := w.secretOf(a, "grant")
	if err != nil {
		return err
	}
	custody, err := tokensecret.DecodeCustody(grant)
	if err != nil {
		return err
	}
	published := string(token.Data[v1alpha1.TokenKeyAccessToken])
	issued, known := w.front.find(published)
	switch {
	case custody.Tokens == nil || custody.Tokens.AccessToken != published:
		return fmt.Errorf("the token Secret holds answer %d of %d (honoured: %t), and the grant Secret another", issued.number,
			w.front.count(a.name).number, w.market.Platform(a.platform).AccessTokenValid(published))
	case !known || issued.account != a.name:
		return fmt.Errorf("the token is one of %q", issued.account)
	case !w.market.Platform(a.platform).AccessTokenValid(published):
		return fmt.Errorf("the marketplace does not honour answer %d of %d", issued.number, w.front.count(a.name).number)
	case a.rotates && !w.market.Platform(a.platform).RefreshTokenValid(custody.RefreshToken):
		return fmt.Errorf("the marketplace does not honour the refresh token of answer %d of %d", issued.number, w.front.count(a.name).number)
	}
	return nil
}

// expectLost waits until an account says that its pair was lost and a person is needed, which it does when no other replica can
// have the answer any more.
func (w *world) expectLost(a *account) {
	w.t.Helper()
	for _, conditionType := range []string{v1alpha1.ConditionReauthRequired, v1alpha1.ConditionAuthenticated} {
		w.Eventually(func() string { return w.says(a, conditionType) }).WithTimeout(2*patience).Should(
			MatchRegexp("^(True|Unknown) "+v1alpha1.ReasonRenewalOutcomeUnknown), "%s of %s", conditionType, a.name)
	}
}

// expectJudged expects the verdict of the demo marketplace in the end.
func (w *world) expectJudged() {
	w.t.Helper()
	wanted := map[string]int{}
	for _, a := range w.accounts {
		if a.grant == v1alpha1.GrantRefreshToken && !a.lost {
			wanted[a.platform]++
		}
	}
	for name, tally := range w.market.Report().Platforms {
		allowed := 0
		if name == strict.platform {
			allowed = w.front.lastResorts()
		}
		w.Expect(tally.DoubleSpends).To(BeNumerically("<=", allowed), "refresh tokens that were spent twice at %s, but for last resorts", name)
		if name != strict.platform && !w.cluster.observer.forgives(w.ns) { // where a person brought a new grant, or a journal alone stopped the old one, more are alive
			w.Expect(tally.LiveFamilies).To(Equal(wanted[name]), "consents that can be refreshed at %s", name)
		}
	}
}

// observer follows every state of every account and Secret of a cluster.
type observer struct {
	kube    client.WithWatch
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	fronts   map[string]*front
	seen     map[client.ObjectKey]*record
	problems map[string][]string
	// forgiven are the namespaces where also an account with a grace may ask for a person.
	forgiven map[string]bool
}

// record is the last state of an account that was seen.
type record struct {
	serial    int64 // of the grant
	published int   // number of the answer in the token Secret
}

func newObserver(kube client.WithWatch) *observer {
	return &observer{kube: kube, fronts: map[string]*front{}, seen: map[client.ObjectKey]*record{}, problems: map[string][]string{}, forgiven: map[string]bool{}}
}

// forgive lets accounts with a grace ask for a person in a namespace, and forgives tells whether they may.
func (o *observer) forgive(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgiven[namespace] = true
}

func (o *observer) forgives(namespace string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forgiven[namespace]
}

// follow makes the observer judge the changes in a namespace.
func (o *observer) follow(namespace string, platform *front) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fronts[namespace] = platform
}

func (o *observer) start(ctx context.Context) {
	ctx, o.cancel = context.WithCancel(ctx)
	o.running.Go(func() { o.watch(ctx, func() client.ObjectList { return &corev1.SecretList{} }) })
	o.running.Go(func() { o.watch(ctx, func() client.ObjectList { return &v1alpha1.MarketplaceAccountList{} }) })
}

func (o *observer) stop() {
	o.cancel()
	o.running.Wait()
}

// watch looks at every state of some objects, beginning anew when the API server was away.
func (o *observer) watch(ctx context.Context, newList func() client.ObjectList) {
	for ctx.Err() == nil {
		list := newList()
		if err := o.kube.List(ctx, list); err == nil {
			_ = meta.EachListItem(list, func(object runtime.Object) error { o.look(object); return nil })
			if watch, err := o.kube.Watch(ctx, list, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}}); err == nil {
				for event := range watch.ResultChan() {
					o.look(event.Object)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (o *observer) look(object any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch object := object.(type) {
	case *corev1.Secret:
		if platform := o.fronts[object.Namespace]; platform != nil {
			o.lookAtSecret(object, platform)
		}
	case *v1alpha1.MarketplaceAccount:
		o.lookAtAccount(object)
	}
}

func (o *observer) recordOf(namespace, name string) *record {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if o.seen[key] == nil {
		o.seen[key] = &record{}
	}
	return o.seen[key]
}

// complain is called with the lock held.
func (o *observer) complain(namespace, format string, args ...any) {
	o.problems[namespace] = append(o.problems[namespace], time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (o *observer) lookAtSecret(secret *corev1.Secret, platform *front) {
	account := secret.Labels[v1alpha1.LabelAccount]
	if account == "" {
		return
	}
	seen := o.recordOf(secret.Namespace, account)
	if secret.Type == v1alpha1.SecretTypeGrant {
		custody, err := tokensecret.DecodeCustody(secret)
		if err != nil {
			o.complain(secret.Namespace, "%s: the grant Secret cannot be read", account)
			return
		}
		if custody.Serial < seen.serial {
			o.complain(secret.Namespace, "%s: the grant goes back from state %d to %d", account, seen.serial, custody.Serial)
		}
		seen.serial = custody.Serial
		platform.settled(&custody)
		return
	}
	issued, known := platform.find(string(secret.Data[v1alpha1.TokenKeyAccessToken]))
	switch {
	case !known:
		o.complain(secret.Namespace, "%s: the token Secret holds what the marketplace did not issue", account)
	case issued.account != account:
		o.complain(secret.Namespace, "%s: the token Secret holds the token of %s", account, issued.account)
	case issued.number < seen.published:
		o.complain(secret.Namespace, "%s: the token Secret goes back from answer %d to %d", account, seen.published, issued.number)
	default:
		seen.published = issued.number
	}
}

// lookAtAccount looks whether a person is asked for: only on a strict platform may that be, since its pair was lost, or in the end since
// a last resort found that out.
func (o *observer) lookAtAccount(account *v1alpha1.MarketplaceAccount) {
	if o.fronts[account.Namespace] == nil {
		return
	}
	condition := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionReauthRequired)
	if condition == nil || condition.Status != metav1.ConditionTrue {
		return
	}
	isStrict := strings.HasSuffix(account.Spec.MarketplaceRef.Name, "-"+strict.platform)
	expected := []string{v1alpha1.ReasonRenewalOutcomeUnknown, v1alpha1.ReasonGrantRejected}
	if !isStrict && !o.forgiven[account.Namespace] || !slices.Contains(expected, condition.Reason) {
		o.complain(account.Namespace, "%s asks for a person: %s: %s", account.Name, condition.Reason, condition.Message)
	}
}

// problemsOf are the forbidden states that were seen in a namespace.
func (o *observer) problemsOf(namespace string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.problems[namespace]...)
}
