package demomarket

import (
	"cmp"
	"maps"
	"net/http"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// wording is the platform's refusal for a denial.
func (m *Market) wording(d *denial) platforms.Refusal {
	worded, fallback := m.platform.Refusals[d.outcome], platforms.Plain(d.outcome)
	worded.Status = cmp.Or(worded.Status, fallback.Status)
	worded.Code = cmp.Or(worded.Code, fallback.Code)
	worded.Description = cmp.Or(worded.Description, d.words)
	return worded
}

// refuse answers with the platform's words.
func (m *Market) refuse(w http.ResponseWriter, x *exchange, d *denial) {
	x.outcome = d.outcome
	worded := m.wording(d)
	answer := maps.Clone(worded.Fields)
	if answer == nil {
		answer = map[string]any{}
	}
	if token, ok := worded.Fields["mfa_token"].(string); ok {
		m.server.secrets.Note(token)
	}
	answer["error"] = worded.Code
	if !worded.Bare && worded.Description != "" {
		answer["error_description"] = x.filled(worded.Description)
	}
	switch worded.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="`+m.platform.Name+`"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	wire.WriteJSON(w, worded.Status, answer)
}

// filled puts the request's parameters for their names in braces.
func (x *exchange) filled(text string) string {
	for name, value := range x.parameters {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}
