package controller

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// rememberedSecrets is how many names are remembered of an account, which uses two Secrets at a time.
const rememberedSecrets = 8

// toldSecrets are the names of Secrets that an account was told of, the last one first.
type toldSecrets [rememberedSecrets]string

// unlabelledMemory remembers which Secrets an account was told of that are used although their label does not allow it, so that it is told once of each. It
// may be used by many goroutines at once.
type unlabelledMemory struct {
	told *accountmemory.Memory[toldSecrets]
}

// untold are the Secrets that the account has not been told of.
func (m unlabelledMemory) untold(account types.UID, unlabelled []facts.UnlabelledSecret) (untold []facts.UnlabelledSecret) {
	m.told.Change(account, func(told *toldSecrets) {
		before := *told
		for _, secret := range unlabelled {
			if slices.Contains(before[:], secret.Name) {
				continue
			}
			untold = append(untold, secret)
			copy(told[1:], told[:])
			told[0] = secret.Name
		}
	})
	return untold
}
