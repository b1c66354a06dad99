package controller

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// unlabelledMemory remembers which Secrets an account was told of that are used although their label does not allow it, so that it is told once of each. It
// may be used by many goroutines at once.
type unlabelledMemory struct {
	mu   sync.Mutex // guards told
	told map[types.UID][]string
}

// rememberedSecrets is how many names are remembered of an account, which uses two Secrets at a time.
const rememberedSecrets = 8

// untold are the Secrets that the account has not been told of.
func (m *unlabelledMemory) untold(account types.UID, unlabelled []facts.UnlabelledSecret) []facts.UnlabelledSecret {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := m.told[account]
	untold := slices.DeleteFunc(slices.Clone(unlabelled), func(secret facts.UnlabelledSecret) bool { return slices.Contains(told, secret.Name) })
	if len(untold) == 0 {
		return nil
	}
	for _, secret := range untold {
		told = append(told, secret.Name)
	}
	if m.told == nil {
		m.told = map[types.UID][]string{}
	}
	m.told[account] = slices.Clone(told[max(0, len(told)-rememberedSecrets):])
	return untold
}

func (m *unlabelledMemory) forget(account types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.told, account)
}
