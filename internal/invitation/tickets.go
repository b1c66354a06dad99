package invitation

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// OpenTicket returns the entry of the ticket that people are shown, if it can be used; nil when there is none.
func OpenTicket(f *facts.Facts) *custody.Ticket {
	for i, held := range f.Custody.SignIn.Tickets {
		if !held.Used && f.Now.Before(held.ExpiresAt) && held.Hash != "" && held.Hash == f.ShownTicket {
			return &f.Custody.SignIn.Tickets[i]
		}
	}
	return nil
}

// TicketIn is the index of a ticket in a custody; -1 where it is not there.
func TicketIn(kept custody.Custody, ticket string) int {
	return slices.IndexFunc(kept.SignIn.Tickets, func(t custody.Ticket) bool { return signin.Matches(t.Hash, ticket) })
}
