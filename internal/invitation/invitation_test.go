package invitation_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type change func(*facts.Facts)

// account is one in which nobody has signed in yet, changed.
func account(grant v1alpha1.GrantType, changes ...change) *facts.Facts {
	f := &facts.Facts{
		Account: &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", Annotations: map[string]string{}},
			Spec:       v1alpha1.MarketplaceAccountSpec{Grant: v1alpha1.Grant{Type: grant}},
		},
		Request: facts.Request{
			Grant: grant, Key: "key", Application: tokensecret.Application{ClientID: "app"},
			Platform: &marketplace.Platform{DisplayName: "Allegro", TokenURL: "https://allegro.example/token", Rotating: true},
		},
		Now: noon, Link: "https://portal.example/sign-in/shop/main", CallbackURL: "https://portal.example/callback/allegro",
	}
	for _, change := range changes {
		change(f)
	}
	return f
}

func given(tickets ...custody.Ticket) change {
	return func(f *facts.Facts) { f.Custody.SignIn.Tickets = tickets }
}

// shows has people shown the link of a ticket.
func shows(ticket string) change {
	return func(f *facts.Facts) { f.ShownTicket = signin.Hash(ticket) }
}

var (
	works = custody.Ticket{Hash: signin.Hash("ticket"), ExpiresAt: noon.Add(time.Minute)}
	other = custody.Ticket{Hash: signin.Hash("other"), ExpiresAt: noon.Add(time.Minute)}
	used  = custody.Ticket{Hash: works.Hash, ExpiresAt: works.ExpiresAt, Used: true}
	ended = custody.Ticket{Hash: works.Hash, ExpiresAt: noon}
)

func TestWhichLinkWorks(t *testing.T) {
	for name, test := range map[string]struct {
		tickets []custody.Ticket
		works   bool
		index   int
	}{
		"one that was given out":                {[]custody.Ticket{other, works}, true, 1},
		"one that was not":                      {[]custody.Ticket{other}, false, -1},
		"one that somebody went on with":        {[]custody.Ticket{other, used}, false, 1},
		"one that has ended":                    {[]custody.Ticket{ended, other}, false, 0},
		"one beside an entry that says nothing": {[]custody.Ticket{{ExpiresAt: works.ExpiresAt}, works}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := account(v1alpha1.GrantAuthorizationCode, given(test.tickets...), shows("ticket"))
			if got := invitation.OpenTicket(f); (got != nil) != test.works || got != nil && got.Hash != works.Hash {
				t.Errorf("the entry is %+v", got)
			}
			if got := invitation.TicketIn(f.Custody, "ticket"); got != test.index {
				t.Errorf("it is number %d, want %d", got, test.index)
			}
		})
	}
	nothing := account(v1alpha1.GrantAuthorizationCode, given(custody.Ticket{ExpiresAt: works.ExpiresAt}))
	if got := invitation.OpenTicket(nothing); got != nil {
		t.Errorf("where no link is shown, it is %+v", got)
	}
}
