package pages

import (
	"bytes"
	"cmp"
	"html/template"
	"net/http"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Screen is a page as a person sees it. Which of its fields a page shows is told by screenText.
type Screen struct {
	Page     string // login, account, consent, store, code or message
	Platform string
	Title    string
	Message  string
	Action   string // where the page's form goes

	Visit       string
	Application string
	Account     platforms.Seller
	Scopes      []string
	UserCode    string
	CodeName    string // of the field for a user code
	Help        *Help
}

// Help tells how to log in. It is nil where people are supposed to know.
type Help struct {
	Users    [2]string
	Password string
}

// Write sends the page, which must not be kept, or shown within another.
func (s Screen) Write(w http.ResponseWriter, status int) {
	var body bytes.Buffer
	if err := screenTemplate().ExecuteTemplate(&body, s.Page, s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	// No form-action: browsers apply it to where a form is redirected to, which is the application.
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(cmp.Or(status, http.StatusOK))
	_, _ = w.Write(body.Bytes()) // the person may have left
}

// screenTemplate is parsed once.
var screenTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("screen").Parse(screenText))
})

// screenText are the pages. They need no script. A program finds its way by data-page, by the names of the fields and by
// the values of the buttons called action, which are not going to change.
const screenText = `
{{define "head"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} - {{.Platform}}</title>
<link rel="icon" href="data:,">
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 0 auto; padding: 1rem; color: #1a1a1a; background: #fff }
header { color: #595959; border-bottom: 1px solid #999 }
h1 { font-size: 1.4rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input { padding: .6rem; margin-bottom: 1rem; border: 1px solid #767676; border-radius: .3rem }
button { padding: .7rem; margin: .6rem 0; border: 1px solid #767676; border-radius: .3rem; background: #fff; color: inherit }
button.first { background: #14532d; border-color: #14532d; color: #fff }
[role=alert] { border-left: .3rem solid #b91c1c; padding-left: .7rem }
small, ul { color: #595959; overflow-wrap: anywhere }
</style>
</head>
<body data-page="{{.Page}}">
<header>{{.Platform}}, a demonstration</header>
<main>
<h1>{{.Title}}</h1>
{{end}}

{{define "foot"}}</main>
</body>
</html>
{{end}}

{{define "problem"}}{{with .Message}}<p role="alert">{{.}}</p>
{{end}}{{end}}

{{define "login"}}{{template "head" .}}{{template "problem" .}}<p>The application <strong>{{.Application}}</strong> wants to use an account. Log in with yours.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="visit" value="{{.Visit}}">
<label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button class="first" name="action" value="login">Log in</button>
</form>
{{with .Help}}<p><small>Users: {{range $i, $name := .Users}}{{if $i}} and {{end}}<code>{{$name}}</code>{{end}}, password <code>{{.Password}}</code>.</small></p>
{{end}}{{template "foot"}}{{end}}

{{define "account"}}{{template "head" .}}<p>You are logged in as <strong>{{.Account.Login}}</strong> <small>({{.Account.ID}})</small>.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="visit" value="{{.Visit}}">
<input type="hidden" name="account" value="{{.Account.ID}}">
<button class="first" name="action" value="continue">Continue as {{.Account.Login}}</button>
<button name="action" value="switch">Use another account</button>
</form>
{{template "foot"}}{{end}}

{{define "consent"}}{{template "head" .}}<p>The application <strong>{{.Application}}</strong> wants to use the account <strong>{{.Account.Login}}</strong> <small>({{.Account.ID}})</small>.</p>
{{with .UserCode}}<p>It should show the code <strong>{{.}}</strong>. If it shows another one, or if you did not start this, deny it.</p>
{{end}}{{with .Scopes}}<details>
<summary>What it asks for ({{len .}})</summary>
<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>
</details>
{{end}}<form method="post" action="{{.Action}}">
<input type="hidden" name="visit" value="{{.Visit}}">
<input type="hidden" name="account" value="{{.Account.ID}}">
<button class="first" name="action" value="allow">Allow</button>
<button name="action" value="deny">Deny</button>
<button name="action" value="switch">Use another account</button>
</form>
{{template "foot"}}{{end}}

{{define "store"}}{{template "head" .}}<p>The application <strong>{{.Application}}</strong> wants to use the account <strong>{{.Account.Login}}</strong> <small>({{.Account.ID}})</small>. When you have authorized it, you go on at its own website.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="visit" value="{{.Visit}}">
<input type="hidden" name="account" value="{{.Account.ID}}">
<button class="first" name="action" value="allow">Authorize</button>
<button name="action" value="switch">Use another account</button>
</form>
{{template "foot"}}{{end}}

{{define "code"}}{{template "head" .}}{{template "problem" .}}<form method="get" action="{{.Action}}">
<label for="code">The code that the application shows</label>
<input id="code" name="{{.CodeName}}" value="{{.UserCode}}" autocomplete="off" autocapitalize="none" spellcheck="false" required autofocus>
<button class="first">Next</button>
</form>
{{template "foot"}}{{end}}

{{define "message"}}{{template "head" .}}<p>{{.Message}}</p>
{{template "foot"}}{{end}}
`
