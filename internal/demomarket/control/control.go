package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// server is the server that the pages are about.
type server struct{ *demomarket.Server }

// action changes a market from the control pages. It returns a line about the change.
type action func(m *demomarket.Market, query url.Values) (string, error)

// values are actions that yield a value, which a caller may want alone.
var values = map[string]func(m *demomarket.Market) string{
	"grant": func(m *demomarket.Market) string { return m.Grant(m.Seller().ID) },
}

// actions are all of them.
func actions() map[string]action {
	return map[string]action{
		"grant":             mintGrant,
		"revoke-grants":     revokeGrants,
		"lock":              lockUser,
		"set-password":      setPassword,
		"set-client-secret": setClientSecret,
		"down":              takeDown,
		"up":                takeUp,
		"slow":              slowDown,
		"add-redirect-uri":  addRedirectURI,
		"approve-device":    approveDevice,
		"deny-device":       denyDevice,
		"log-out":           logOut,
	}
}

// Pages returns the pages under /_demo/, for demomarket.Options.Control. Other sites' pages cannot press their buttons.
func Pages(market *demomarket.Server) http.Handler {
	s := server{market}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /_demo/{$}", s.servePage)
	pages.HandleFunc("GET /_demo/report", s.serveReport)
	pages.HandleFunc("POST /_demo/{platform}/{action}", s.serveAction)
	return http.NewCrossOriginProtection().Handler(pages)
}

// serveReport answers with the report as JSON.
func (s server) serveReport(w http.ResponseWriter, _ *http.Request) {
	body, err := json.MarshalIndent(s.Report(), "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client may have left
}

// serveAction takes the action in the path. A browser is led back to the page, and other clients get a line of text: nothing but the value of the action, where
// they accept plain text alone.
func (s server) serveAction(w http.ResponseWriter, r *http.Request) {
	market, act := s.Platform(r.PathValue("platform")), actions()[r.PathValue("action")]
	if market == nil || act == nil {
		http.NotFound(w, r)
		return
	}
	if value := values[r.PathValue("action")]; value != nil && r.Header.Get("Accept") == "text/plain" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, value(market)) // the client may have left
		return
	}
	done, err := act(market, r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/_demo/", http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s: %s\n", market.Name(), done) //nolint:gosec // It is plain text, and the client may have left.
}

func mintGrant(m *demomarket.Market, _ url.Values) (string, error) {
	return "a new refresh token for " + m.Seller().ID + " is " + m.Grant(m.Seller().ID), nil
}

func revokeGrants(m *demomarket.Market, _ url.Values) (string, error) {
	m.RevokeGrants()
	return "all grants are revoked", nil
}

func lockUser(m *demomarket.Market, _ url.Values) (string, error) {
	m.Lock(platforms.DefaultUser)
	return platforms.DefaultUser + " is locked until the password changes", nil
}

func setPassword(m *demomarket.Market, query url.Values) (string, error) {
	if query.Get("value") == "" {
		return "", errors.New("value is missing: the new password")
	}
	m.SetPassword(platforms.DefaultUser, query.Get("value"))
	return platforms.DefaultUser + " has a new password", nil
}

func setClientSecret(m *demomarket.Market, query url.Values) (string, error) {
	if query.Get("value") == "" {
		return "", errors.New("value is missing: the new client secret")
	}
	m.SetClientSecret(query.Get("value"), false)
	return demomarket.DefaultClientID + " has a new secret, and the old one is refused", nil
}

func takeDown(m *demomarket.Market, query url.Values) (string, error) {
	d, err := duration(query, "for")
	if err != nil {
		return "", err
	}
	m.Down(d)
	if d == 0 {
		return "down", nil
	}
	return "down for " + d.String(), nil
}

func takeUp(m *demomarket.Market, _ url.Values) (string, error) {
	m.Up()
	m.Slow(0)
	return "up, and as fast as it can", nil
}

func slowDown(m *demomarket.Market, query url.Values) (string, error) {
	d, err := duration(query, "latency")
	if err != nil {
		return "", err
	}
	m.Slow(d)
	return "answers take " + d.String() + " longer", nil
}

func addRedirectURI(m *demomarket.Market, query url.Values) (string, error) {
	address := query.Get("value")
	if address == "" {
		return "", errors.New("value is missing: the address to which people may be sent back")
	}
	name := cmp.Or(query.Get("name"), address)
	m.AddRuName(demomarket.DefaultClientID, name, address, cmp.Or(query.Get("decline"), address))
	return "the redirect_uri " + name + " is registered", nil
}

func approveDevice(m *demomarket.Market, query url.Values) (string, error) {
	seller := cmp.Or(query.Get("seller"), m.Seller().ID)
	if err := m.ApproveDevice(query.Get("user_code"), seller); err != nil {
		return "", err
	}
	return "seller " + seller + " has allowed access", nil
}

func denyDevice(m *demomarket.Market, query url.Values) (string, error) {
	return "access is denied", m.DenyDevice(query.Get("user_code"))
}

func logOut(m *demomarket.Market, _ url.Values) (string, error) {
	m.LogOut()
	return "nobody is logged in any more", nil
}

// duration reads a parameter such as 30s. It is zero when absent.
func duration(query url.Values, name string) (time.Duration, error) {
	value := query.Get(name)
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s must be a duration such as 30s", name)
	}
	return d, nil
}
