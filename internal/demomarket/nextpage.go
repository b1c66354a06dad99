package demomarket

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/pages"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// screen is the page that a visit needs next.
func (m *Market) screen(x *exchange, v *visit, held *session, message string) reply {
	shown := pages.Screen{
		Page:        string(v.next(held)),
		Message:     message,
		Action:      x.request.URL.Path,
		Visit:       v.id,
		Application: v.clientID,
		Scopes:      v.scopes,
		UserCode:    v.userCode,
	}
	switch v.next(held) {
	case loginStep:
		shown.Title = "Log in"
	case accountStep:
		shown.Title, shown.Account = "Go on with this account?", held.seller
	default:
		shown.Title, shown.Account = "Allow access?", held.seller
		if v.endpoint == platforms.StoreEndpoint {
			shown.Page, shown.Title = storePage, "Use this application?"
		}
	}
	if m.server.control != nil {
		shown.Help = &pages.Help{Users: [2]string{platforms.DefaultUser, platforms.OtherUser}, Password: DefaultPassword}
	}
	status := http.StatusOK
	if message != "" {
		status = http.StatusForbidden
	}
	return reply{status: status, screen: shown}
}
