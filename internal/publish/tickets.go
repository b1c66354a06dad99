package publish

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Tickets are stored as hashes and wait to be shown, one for an account.
type Tickets = accountmemory.Memory[string]

// waitingTicket is the stored form of the ticket of an account that waits; empty where none does.
func (p *Publisher) waitingTicket(account types.UID) string {
	if ticket := p.Tickets.Of(account); ticket != "" {
		return signin.Hash(ticket)
	}
	return ""
}
