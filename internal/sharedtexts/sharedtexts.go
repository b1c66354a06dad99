// Package sharedtexts lets accounts in a cache share texts that many accounts have, such as a namespace or a reason.
package sharedtexts

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// mostTexts bounds how many texts are shared, and longestText how long one is. Tenants choose some.
	mostTexts   = 4096
	longestText = 128
)

// Texts are the copies that accounts share, where decoding gives each account copies of its own. The zero value is empty. It may be used
// by many goroutines at once.
type Texts struct {
	mu   sync.Mutex // guards held
	held map[string]string
}

// of returns the text, in the one copy that all share.
func (s *Texts) of(text string) string {
	if text == "" || len(text) > longestText {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared, ok := s.held[text]; ok {
		return shared
	}
	if s.held == nil || len(s.held) >= mostTexts { // some may not be in use any more
		s.held = map[string]string{}
	}
	s.held[text] = text
	return text
}

func share[text ~string](with *Texts, texts ...*text) {
	for _, t := range texts {
		*t = text(with.of(string(*t)))
	}
}

// Share has an account share its texts with other accounts, and leaves it no room that it does not use.
func (s *Texts) Share(account *v1alpha1.MarketplaceAccount) {
	spec, status := &account.Spec, &account.Status
	share(s, &account.Namespace, &spec.MarketplaceRef.Name, &spec.Environment, &spec.ApplicationSecretRef.Name)
	share(s, &spec.Grant.Type)
	share(s, &spec.Renewal.Policy)
	share(s, &spec.Renewal.Before, &spec.Authorization.WarnBefore)
	share(s, &spec.DeletionPolicy)
	status.Conditions = slices.Clone(status.Conditions)
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		share(s, &condition.Type, &condition.Reason)
		share(s, &condition.Status)
		quiet := condition.Type == v1alpha1.ConditionReauthRequired || condition.Type == v1alpha1.ConditionAuthorizationExpiring
		if quiet && condition.Status == metav1.ConditionFalse { // messages of the other conditions name the account
			share(s, &condition.Message)
		}
	}
}
