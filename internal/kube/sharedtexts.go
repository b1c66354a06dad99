package kube

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// mostTexts bounds how many texts are shared, and longestText how long one is. Tenants choose some of them.
	mostTexts   = 4096
	longestText = 128
)

// sharedTexts lets accounts in the cache share the texts that many of them have, which are decoded for each by itself. It may be used by
// many goroutines at once.
type sharedTexts struct {
	mu   sync.Mutex // guards held
	held map[string]string
}

// of returns the text, in the one copy that all share.
func (s *sharedTexts) of(text string) string {
	if text == "" || len(text) > longestText {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared, ok := s.held[text]; ok {
		return shared
	}
	if s.held == nil || len(s.held) >= mostTexts { // some of them may not be in use any more
		s.held = map[string]string{}
	}
	s.held[text] = text
	return text
}

func share[text ~string](with *sharedTexts, texts ...*text) {
	for _, t := range texts {
		*t = text(with.of(string(*t)))
	}
}

// shareTexts has an account share its texts with others, and leaves it no room that it does not use.
func (c *contents) shareTexts(account *v1alpha1.MarketplaceAccount) {
	spec, status := &account.Spec, &account.Status
	share(&c.texts, &account.Namespace, &spec.MarketplaceRef.Name, &spec.Environment, &spec.ApplicationSecretRef.Name)
	share(&c.texts, &spec.Grant.Type)
	share(&c.texts, &spec.Renewal.Policy)
	share(&c.texts, &spec.Renewal.Before, &spec.Authorization.WarnBefore)
	share(&c.texts, &spec.DeletionPolicy)
	status.Conditions = slices.Clone(status.Conditions)
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		share(&c.texts, &condition.Type, &condition.Reason)
		share(&c.texts, &condition.Status)
		quiet := condition.Type == v1alpha1.ConditionReauthRequired || condition.Type == v1alpha1.ConditionAuthorizationExpiring
		if quiet && condition.Status == metav1.ConditionFalse { // the others name the account
			share(&c.texts, &condition.Message)
		}
	}
}
