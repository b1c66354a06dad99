package demomarket

import (
	"net/http"
	"net/url"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/pages"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// stopped is a page that leads nowhere.
func stopped(status int, title, message string) reply {
	return reply{status: status, screen: pages.Screen{Page: "message", Title: title, Message: message}}
}

// broken is a page for a failure of the demo marketplace itself.
func broken(err error) reply {
	return stopped(http.StatusInternalServerError, "This did not work", err.Error())
}

// undeliverable is the answer to an authorization request that nobody may be sent back with.
func (m *Market) undeliverable(x *exchange, d *denial) reply {
	x.outcome = d.outcome
	worded := m.wording(d)
	if !m.platform.Authorization.JSONErrors {
		return stopped(worded.Status, "The application made a mistake", worded.Description)
	}
	return reply{status: worded.Status, document: map[string]any{
		"error_id": worded.Code, "error_description": worded.Description, "http_status_code": worded.Status,
	}}
}

// reply sends an answer. A person who was at a form is sent on by a GET, whatever he sent (RFC 9700 section 4.12).
func (m *Market) reply(w http.ResponseWriter, x *exchange, answer reply) {
	if answer.session != "" {
		http.SetCookie(w, m.cookie(x.request, answer.session))
	}
	switch {
	case answer.location != "":
		if x.strike.Callback != nil {
			x.strike.Callback(answer.parameters)
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, x.request, addressWith(answer.location, answer.parameters), http.StatusSeeOther)
	case answer.document != nil:
		wire.WriteJSON(w, answer.status, answer.document)
	default:
		answer.screen.Platform = m.platform.Name
		answer.screen.Write(w, answer.status)
	}
}

// addressWith is an address with further parameters.
func addressWith(address string, parameters url.Values) string {
	parsed, err := url.Parse(address)
	if err != nil || len(parameters) == 0 {
		return address // what a test registered, it gets
	}
	if parsed.RawQuery != "" {
		parsed.RawQuery += "&"
	}
	parsed.RawQuery += parameters.Encode()
	return parsed.String()
}
