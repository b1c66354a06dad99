package portal

import (
	"context"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

const (
	// answerLife is how long an answer about a right is taken for granted where something is shown. Where something
	// is done, the API server is asked each time.
	answerLife = 5 * time.Second
	// maxAnswers bounds the memory of answers.
	maxAnswers = 50_000
	// maxQuestions is how many questions the API server is asked at once, for all visitors together.
	maxQuestions = 16

	accountsResource = "marketplaceaccounts"
)

// Verbs of Kubernetes.
const (
	verbGet   = "get"
	verbList  = "list"
	verbPatch = "patch"
)

// access asks the API server what visitors may do.
type access struct {
	kube  client.Writer
	clock clock.PassiveClock
	slots chan struct{}

	mu      sync.Mutex // guards answers
	answers *recent[question, answer]
}

// question is whether somebody may do something with one account, with all of a namespace (no name), or with all (no
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
	return &access{kube: kube, clock: clock, slots: make(chan struct{}, maxQuestions), answers: newRecent[question, answer](maxAnswers)}
}

// may asks the API server.
func (a *access) may(ctx context.Context, who *visitor, verb, namespace, name string) (bool, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return false, &clusterError{"waiting to ask what a visitor may do", ctx.Err()}
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
	if err := a.kube.Create(ctx, review, client.DisableReadYourWritesConsistency); err != nil {
		return false, &clusterError{"asking what a visitor may do", err}
	}
	allowed := review.Status.Allowed && !review.Status.Denied
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers.put(question{who.key, verb, namespace, name}, answer{allowed, a.clock.Now()})
	return allowed, nil
}

// mightBefore returns what was answered a moment ago, else asks.
func (a *access) mightBefore(ctx context.Context, who *visitor, verb, namespace, name string) (bool, error) {
	a.mu.Lock()
	known, found := a.answers.get(question{who.key, verb, namespace, name})
	a.mu.Unlock()
	if age := a.clock.Now().Sub(known.at); found && age >= 0 && age < answerLife {
		return known.allowed, nil
	}
	return a.may(ctx, who, verb, namespace, name)
}

// permitted are accounts of which somebody may do something.
type permitted map[types.NamespacedName]bool

// which tells of which accounts somebody may do something. It asks about all accounts at once, then by namespace, and about
// each only where that was denied: many is the verb for all of them, one that for a single one.
func (a *access) which(ctx context.Context, who *visitor, many, one string, accounts []types.NamespacedName) (permitted, error) {
	byNamespace := map[string][]types.NamespacedName{}
	for _, account := range accounts {
		byNamespace[account.Namespace] = append(byNamespace[account.Namespace], account)
	}
	all := make(permitted, len(accounts))
	if len(accounts) == 0 {
		return all, nil
	}
	everywhere, err := a.mightBefore(ctx, who, many, "", "")
	if err != nil {
		return nil, err
	}
	if everywhere {
		for _, account := range accounts {
			all[account] = true
		}
		return all, nil
	}
	whole := make([]types.NamespacedName, 0, len(byNamespace))
	for namespace := range byNamespace {
		whole = append(whole, types.NamespacedName{Namespace: namespace})
	}
	namespaces, err := a.each(ctx, who, many, whole)
	if err != nil {
		return nil, err
	}
	var single []types.NamespacedName
	for _, account := range accounts {
		if namespaces[types.NamespacedName{Namespace: account.Namespace}] {
			all[account] = true
		} else {
			single = append(single, account)
		}
	}
	some, err := a.each(ctx, who, one, single)
	for account := range some {
		all[account] = true
	}
	return all, err
}

// each asks about every one, several at a time. It stops at the first error.
func (a *access) each(ctx context.Context, who *visitor, verb string, things []types.NamespacedName) (permitted, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		found = permitted{}
		group sync.WaitGroup
		next  = make(chan types.NamespacedName)
	)
	for range min(maxQuestions, len(things)) {
		group.Go(func() {
			for thing := range next {
				allowed, err := a.mightBefore(ctx, who, verb, thing.Namespace, thing.Name)
				if err != nil {
					cancel(err) // the rest is answered at once, by this error
				}
				if allowed {
					mu.Lock()
					found[thing] = true
					mu.Unlock()
				}
			}
		})
	}
	for _, thing := range things {
		next <- thing
	}
	close(next)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return found, nil
}
