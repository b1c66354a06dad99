package visitor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

const (
	// answerLife is how long a page may rely on an answer about a right. Before the action of a button the API server is asked
	// each time.
	answerLife       = 5 * time.Second
	accountsResource = "marketplaceaccounts"
)

// Verbs of Kubernetes.
const (
	verbGet   = "get"
	verbList  = "list"
	verbPatch = "patch"
	// verbOperate is the verb of the portal's buttons alone: it allows no request to the API server itself.
	verbOperate = "operate"
)

// right is a list of verbs of which one suffices: all is asked about all accounts or the accounts of a namespace, single about
// one account.
type right struct{ all, single []string }

var (
	// toSee is the right to see accounts, toAct the right to press their buttons. A person with the right to change an account needs no
	// second right.
	toSee = right{all: []string{verbList}, single: []string{verbGet}}
	toAct = right{all: []string{verbOperate, verbPatch}, single: []string{verbOperate, verbPatch}}
)

// access asks the API server about the rights of visitors.
type access struct {
	kube  client.Writer
	clock clock.PassiveClock
	// showing and acting are the questions under way.
	showing, acting chan struct{}
	// asking merges equal questions that several pages of a visitor ask at once.
	asking singleflight.Group

	mu       sync.Mutex // guards answers and visitors
	answers  *recent[question, answer]
	visitors *recent[string, *curiosity]
}

// curiosity bounds the pages, the questions and the buttons of one user, whichever of their tokens the requests bring.
type curiosity struct {
	// pages is where their pages are made, one after the other.
	pages *room
	// unread are the pages that were made and that their browsers have not read yet.
	unread chan struct{}
	// left are the questions that pages may still cause, and pressed the buttons that they may still press.
	left, pressed *rate.Limiter
}

// question is whether a visitor may use a verb on one account, on all accounts of a namespace (no name), or on all accounts (no
// namespace either).
type question struct {
	who             tokenKey
	verb            string
	namespace, name string
}

type answer struct {
	allowed bool
	at      time.Time
}

func newAccess(kube client.Writer, clock clock.PassiveClock) *access {
	return &access{
		kube: kube, clock: clock, showing: make(chan struct{}, maxQuestions), acting: make(chan struct{}, maxActing),
		answers:  newRecent[question, answer](maxAnswers),
		visitors: newRecent[string, *curiosity](maxVisitors),
	}
}

// of returns the curiosity of a visitor's user, which all tokens of the user share.
func (a *access) of(who *Visitor) *curiosity {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, found := a.visitors.get(who.user.Username)
	if !found {
		known = &curiosity{
			pages:   &room{places: make(chan struct{}, 1), patience: timeouts.List},
			unread:  make(chan struct{}, maxUnread),
			left:    rate.NewLimiter(rate.Every(askedEach), maxAsked),
			pressed: rate.NewLimiter(rate.Every(pressedEach), maxPressed),
		}
		a.visitors.put(who.user.Username, known)
	}
	return known
}

// may asks the API server whether the buttons of an account may be pressed now. Each call counts as a press.
func (a *access) may(ctx context.Context, who *Visitor, account types.NamespacedName) (allowed bool, err error) {
	if !a.of(who).pressed.AllowN(a.clock.Now(), 1) {
		return false, &BusyError{pressedEach}
	}
	for _, verb := range toAct.single {
		if allowed, err = a.ask(ctx, a.acting, who, verb, account.Namespace, account.Name); allowed || err != nil {
			break
		}
	}
	return allowed, err
}

// ask asks the API server once one of the slots is free.
func (a *access) ask(ctx context.Context, slots chan struct{}, who *Visitor, verb, namespace, name string) (bool, error) {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return false, &ClusterError{"waiting to ask what a visitor may do", ctx.Err()}
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   who.user.Username,
		UID:    who.user.UID,
		Groups: who.user.Groups,
		Extra:  make(map[string]authorizationv1.ExtraValue, len(who.user.Extra)),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: accountsResource,
			Verb: verb, Namespace: namespace, Name: name,
		},
	}}
	for key, value := range who.user.Extra {
		review.Spec.Extra[key] = authorizationv1.ExtraValue(value)
	}
	if err := a.kube.Create(ctx, review); err != nil {
		return false, &ClusterError{"asking what a visitor may do", err}
	}
	allowed := review.Status.Allowed && !review.Status.Denied
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers.put(question{who.key, verb, namespace, name}, answer{allowed, a.clock.Now()})
	return allowed, nil
}

// might tells whether any of some verbs was allowed a moment ago, else asks.
func (a *access) might(ctx context.Context, who *Visitor, verbs []string, namespace, name string) (allowed bool, err error) {
	for _, verb := range verbs {
		if allowed, err = a.mightBefore(ctx, who, verb, namespace, name); allowed || err != nil {
			break
		}
	}
	return allowed, err
}

// mightBefore returns the answer of a moment ago, else asks.
func (a *access) mightBefore(ctx context.Context, who *Visitor, verb, namespace, name string) (bool, error) {
	a.mu.Lock()
	known, found := a.answers.get(question{who.key, verb, namespace, name})
	a.mu.Unlock()
	if age := a.clock.Now().Sub(known.at); found && age >= 0 && age < answerLife {
		return known.allowed, nil
	}
	if !a.of(who).left.AllowN(a.clock.Now(), 1) {
		return false, &BusyError{answerLife}
	}
	asked := a.asking.DoChan(strings.Join([]string{string(who.key[:]), verb, namespace, name}, "/"), func() (any, error) {
		// Several pages may wait for the answer, so the question does not end with the page that asked first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Page)
		defer cancel()
		return a.ask(ctx, a.showing, who, verb, namespace, name)
	})
	select {
	case result := <-asked:
		allowed, _ := result.Val.(bool)
		return allowed, result.Err
	case <-ctx.Done():
		return false, &ClusterError{"asking what a visitor may do", ctx.Err()}
	}
}

// Permitted are the accounts for which a visitor has a right, or the namespaces (no name) for which they have it.
type Permitted map[types.NamespacedName]bool

// which finds the accounts for which a visitor has a right. It asks about all accounts at once, then by namespace, and about each
// account only where that was denied. more tells that some accounts were not asked about.
func (a *access) which(
	ctx context.Context, who *Visitor, to right, accounts []types.NamespacedName,
) (may Permitted, more bool, err error) {
	may = make(Permitted, len(accounts))
	if len(accounts) == 0 {
		return may, false, nil
	}
	everywhere, err := a.might(ctx, who, to.all, "", "")
	if err != nil {
		return nil, false, err
	}
	whole := namespacesOf(who, accounts)
	if len(whole) > maxNamespaces && !everywhere {
		whole, more = whole[:maxNamespaces], true
	}
	namespaces := Permitted{}
	if !everywhere {
		if namespaces, err = a.each(ctx, who, to.all, whole); err != nil {
			return nil, false, err
		}
	}
	var single []types.NamespacedName
	for _, account := range accounts {
		namespace := types.NamespacedName{Namespace: account.Namespace}
		if everywhere || namespaces[namespace] {
			may[account] = true
		} else if slices.Contains(whole, namespace) {
			single = append(single, account)
		}
	}
	if len(single) > maxSingle { // always the same ones
		slices.SortFunc(single, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
		single, more = single[:maxSingle], true
	}
	some, err := a.each(ctx, who, to.single, single)
	maps.Copy(may, some)
	return may, more, err
}

// namespacesOf are the namespaces of accounts: first the one that the visitor came for, then the one of their own ServiceAccount,
// then the rest by name, so that a page that cannot ask about all of them asks about the same ones each time.
func namespacesOf(who *Visitor, accounts []types.NamespacedName) []types.NamespacedName {
	var whole []types.NamespacedName
	for _, account := range accounts {
		whole = append(whole, types.NamespacedName{Namespace: account.Namespace})
	}
	own := ""
	if parts := strings.Split(who.user.Username, ":"); len(parts) == 4 && parts[0] == "system" && parts[1] == "serviceaccount" {
		own = parts[2]
	}
	distance := func(namespace string) int {
		switch namespace {
		case who.Near:
			return 0
		case own:
			return 1
		}
		return 2
	}
	slices.SortFunc(whole, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(distance(a.Namespace), distance(b.Namespace)), cmp.Compare(a.Namespace, b.Namespace))
	})
	return slices.Compact(whole)
}

// each asks about every one, several at a time. It stops at the first error.
func (a *access) each(ctx context.Context, who *Visitor, verbs []string, things []types.NamespacedName) (Permitted, error) {
	var (
		mu    sync.Mutex
		found = Permitted{}
	)
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(maxQuestions)
	for _, thing := range things {
		if asking.Err() != nil {
			break
		}
		group.Go(func() error {
			allowed, err := a.might(asking, who, verbs, thing.Namespace, thing.Name)
			if allowed {
				mu.Lock()
				defer mu.Unlock()
				found[thing] = true
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // before the first question
		return nil, &ClusterError{"asking what a visitor may do", err}
	}
	return found, nil
}
