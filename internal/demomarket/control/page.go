package control

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// page is the view of a server.
type page struct {
	Base      string
	ClientID  string
	User      string
	OtherUser string
	Password  string
	Platforms []platformView
}

// platformView is the view of one platform.
type platformView struct {
	Name        string
	TokenURL    string
	SignInURL   string // empty when people cannot sign in with a browser
	StoreURL    string // of the application's page; empty without a store
	DeviceURL   string // empty without device flow
	Redirects   []string
	Grants      []string
	Password    bool
	Seller      platforms.Seller
	OtherSeller platforms.Seller
	Down        bool
	Tally       judge.Tally
	OK          int
	Refused     int
}

// servePage shows the platforms, their counts, and the actions that can be tried.
func (s server) servePage(w http.ResponseWriter, r *http.Request) {
	view := page{
		Base: s.BaseURL(r), ClientID: demomarket.DefaultClientID, User: platforms.DefaultUser, OtherUser: platforms.OtherUser, Password: demomarket.DefaultPassword,
	}
	for _, name := range s.Names() {
		view.Platforms = append(view.Platforms, viewOf(s.Platform(name), r))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := pageTemplate().Execute(w, view); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// viewOf is a market as the page shows it.
func viewOf(m *demomarket.Market, r *http.Request) platformView {
	platform, address := m.Values(), m.Address(r)
	tally := m.Report()
	ok := tally.Count("", platforms.OK)
	view := platformView{
		Name:        platform.Name,
		TokenURL:    address + platform.Paths.Token,
		Redirects:   m.RedirectURIs(demomarket.DefaultClientID),
		Grants:      platform.Grants,
		Password:    slices.Contains(platform.Grants, platforms.GrantPassword),
		Seller:      platform.Seller,
		OtherSeller: platform.OtherSeller,
		Down:        m.IsDown(),
		Tally:       tally,
		OK:          ok,
		Refused:     tally.Count("", "") - ok,
	}
	if platform.Paths.Authorization != "" {
		view.SignInURL = address + platform.Paths.Authorization
	}
	if platform.Paths.Store != "" {
		view.StoreURL = address + platform.Paths.Store + "?" +
			url.Values{platform.Authorization.ClientParameter: {demomarket.DefaultApplicationID}}.Encode()
	}
	if platform.Paths.Device != "" {
		view.DeviceURL = address + platform.Paths.Device
	}
	return view
}

// pageTemplate is parsed once.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
})

const pageText = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Demo marketplace</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
section { border-top: 1px solid #999; padding: .5rem 0 }
form { display: inline }
code, a { overflow-wrap: anywhere }
pre { overflow-x: auto }
</style>
<h1>Demo marketplace</h1>
<p>Every platform knows the application <code>{{.ClientID}}</code> and two users, so that the wrong one can sign in:
<code>{{.User}}</code> and <code>{{.OtherUser}}</code>, both with the password <code>{{.Password}}</code>.
The counts are also at <a href="/_demo/report">/_demo/report</a>, as JSON.
Each button is a POST, so a shell can press it too:
<pre>curl -X POST '{{.Base}}/_demo/{{(index .Platforms 0).Name}}/down?for=30s'</pre>
<p>This one has no button, since its answer is to be kept: it makes a new refresh token, for example after all were revoked.
<pre>curl -X POST '{{.Base}}/_demo/{{(index .Platforms 0).Name}}/grant'</pre>
{{range .Platforms}}
<section>
<h2>{{.Name}}{{if .Down}} (down){{end}}</h2>
<p><code>{{.TokenURL}}</code>, seller {{.Seller.ID}} ({{.Seller.Login}}){{if .OtherSeller.ID}}, other seller {{.OtherSeller.ID}} ({{.OtherSeller.Login}}){{end}}, grants {{range $i, $grant := .Grants}}{{if $i}}, {{end}}{{$grant}}{{end}}.
{{if .SignInURL}}
<p>Sign-in: <code>{{.SignInURL}}</code>, which sends people back to {{range $i, $uri := .Redirects}}{{if $i}}, {{end}}<code>{{$uri}}</code>{{else}}nowhere, since no redirect_uri is registered{{end}}.
Codes issued: {{.Tally.Codes.Issued}}, used: {{.Tally.Codes.Used}}, used again: {{.Tally.Codes.Reused}}, too late: {{.Tally.Codes.Expired}}.
{{end}}
{{if .StoreURL}}
<p>A sign-in may begin in the store, at <a href="{{.StoreURL}}">{{.StoreURL}}</a>.
Begun there: {{.Tally.Starts.Issued}}, ended: {{.Tally.Starts.Used}}.
{{end}}
{{if .DeviceURL}}
<p>Codes of devices are entered at <a href="{{.DeviceURL}}">{{.DeviceURL}}</a>.
Issued: {{.Tally.DeviceCodes.Issued}}, used: {{.Tally.DeviceCodes.Used}}; asked about {{.Tally.DevicePolls}} times, too early {{.Tally.EarlyPolls}} times.
{{end}}
<p>Token requests: {{.OK}} answered with tokens, {{.Refused}} not. Live grants: {{.Tally.LiveFamilies}}.
Refresh tokens spent twice: {{.Tally.DoubleSpends}}, reused within the grace: {{.Tally.GraceReuses}}.
Answers lost: {{.Tally.LostPairs}}, abandoned: {{.Tally.AbandonedPairs}}.
<p>
<form method="post" action="/_demo/{{.Name}}/down?for=30s"><button>Down for 30 s</button></form>
<form method="post" action="/_demo/{{.Name}}/slow?latency=2s"><button>2 s slower</button></form>
<form method="post" action="/_demo/{{.Name}}/up"><button>Up and fast</button></form>
<form method="post" action="/_demo/{{.Name}}/revoke-grants"><button>Revoke all grants</button></form>
<form method="post" action="/_demo/{{.Name}}/set-client-secret?value=another-client-secret"><button>Change the client secret</button></form>
{{if .SignInURL}}<form method="post" action="/_demo/{{.Name}}/log-out"><button>Log out every browser</button></form>{{end}}
{{if .Password}}
<form method="post" action="/_demo/{{.Name}}/lock"><button>Lock the user</button></form>
<form method="post" action="/_demo/{{.Name}}/set-password?value=another-password"><button>Change the password</button></form>
{{end}}
</section>
{{end}}
</html>
`
