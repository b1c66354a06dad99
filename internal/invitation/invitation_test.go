package invitation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

var (
	inSecret  = func(f *facts.Facts) { f.LinksInSecret = true }
	taken     = func(f *facts.Facts) { f.PlaceTaken = "another Secret is there" }
	noPortal  = func(f *facts.Facts) { f.Link = "" }
	suspended = func(f *facts.Facts) { f.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }
)

// inStatus has the status show a link.
func inStatus(f *facts.Facts) {
	f.Account.Status.SignIn = &v1alpha1.SignInStatus{URL: "https://portal.example/sign-in/shop/main?ticket=ticket"}
}

// code has a device code wait, with the address that carries the code.
func code(change func(*custody.Device)) func(*facts.Facts) {
	return func(f *facts.Facts) {
		f.Custody.SignIn.Device = &custody.Device{
			Code: "device", UserCode: "AB-CD", URL: "https://allegro.example/device?code=ABCD", Page: "https://allegro.example/device",
			ClientID: "app", ExpiresAt: noon.Add(time.Hour),
		}
		if change != nil {
			change(f.Custody.SignIn.Device)
		}
	}
}

// TestWhereALinkStands: with links in Secrets no status holds a ticket or a code.
func TestWhereALinkStands(t *testing.T) {
	const browser, device = v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode
	at := func(page string) func(*custody.Device) {
		return func(d *custody.Device) { d.URL, d.Page = page, "" }
	}
	link := tokensecret.SignIn{URL: "https://portal.example/sign-in/shop/main", Ticket: works.Hash}
	typed := tokensecret.SignIn{URL: "https://allegro.example/device?code=ABCD", UserCode: "AB-CD"}
	for name, test := range map[string]struct {
		facts        *facts.Facts
		status, code string
		secret       *tokensecret.SignIn
	}{
		"a link in the status":                {account(browser, given(works), shows("ticket"), inStatus), "https://portal.example/sign-in/shop/main?ticket=ticket", "", nil},
		"a link in a Secret":                  {account(browser, given(works), shows("ticket"), inSecret), "https://portal.example/sign-in/shop/main", "", &link},
		"one that was used":                   {account(browser, given(used), shows("ticket"), inSecret), "", "", nil},
		"one, and the place is taken":         {account(browser, given(works), shows("ticket"), inSecret, taken), "", "", &link},
		"one, and there is no portal":         {account(browser, given(works), shows("ticket"), inSecret, noPortal), "", "", nil},
		"one that nobody needs":               {account(browser, given(works), shows("ticket"), inSecret, suspended), "", "", nil},
		"no link yet":                         {account(browser, inSecret), "", "", nil},
		"a code in the status":                {account(device, code(nil)), "https://allegro.example/device?code=ABCD", "AB-CD", nil},
		"a code in a Secret":                  {account(device, code(nil), inSecret), "https://allegro.example/device", "", &typed},
		"a code, and no portal":               {account(device, code(nil), inSecret, noPortal), "https://allegro.example/device", "", &typed},
		"a code that has ended":               {account(device, code(func(d *custody.Device) { d.ExpiresAt = noon }), inSecret), "", "", nil},
		"an address with nothing but a code":  {account(device, code(at("https://allegro.example/device?code=abcd")), inSecret), "https://allegro.example", "", &tokensecret.SignIn{URL: "https://allegro.example/device?code=abcd", UserCode: "AB-CD"}},
		"an address that escapes the code":    {account(device, code(at("https://allegro.example/AB%2DCD/device")), inSecret), "https://allegro.example", "", &tokensecret.SignIn{URL: "https://allegro.example/AB%2DCD/device", UserCode: "AB-CD"}},
		"an address that cannot be unescaped": {account(device, code(at("https://allegro.example/device?%zz")), inSecret), "https://allegro.example", "", &tokensecret.SignIn{URL: "https://allegro.example/device?%zz", UserCode: "AB-CD"}},
		"an address that cannot be read":      {account(device, code(at("https://allegro.example/%zz")), inSecret), "", "", &tokensecret.SignIn{URL: "https://allegro.example/%zz", UserCode: "AB-CD"}},
	} {
		t.Run(name, func(t *testing.T) {
			address, userCode := "", ""
			if shown := invitation.InStatus(test.facts); shown != nil {
				address, userCode = shown.URL, shown.UserCode
				if end := shown.ExpirationTime.Time; !end.Equal(noon.Add(time.Hour)) && !end.Equal(works.ExpiresAt) {
					t.Errorf("it ends at %s", end)
				}
				if register := shown.RedirectURI; (register == "") != (test.facts.Request.Grant == device) {
					t.Errorf("the address to register is %q", register)
				}
			}
			if address != test.status || userCode != test.code {
				t.Errorf("the status shows %q, code %q", address, userCode)
			}
			if diff := cmp.Diff(test.secret, invitation.InSecret(test.facts)); diff != "" {
				t.Errorf("the Secret shows (-want +got)\n%s", diff)
			}
		})
	}
}
