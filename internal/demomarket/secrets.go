package demomarket

import (
	"net/url"
	"strings"
	"sync"
)

// shortestSecret is the length below which a value would be found in any text by chance.
const shortestSecret = 4

// secretLog remembers the values that must not appear in logs, events or status. It is safe for concurrent use.
type secretLog struct {
	mu    sync.Mutex
	known map[string]struct{}
	ring  []string
	size  int // of the ring when it is full; none when negative
	next  int
}

// newSecretLog returns a log of this size, see [Options.SecretLog].
func newSecretLog(size int) *secretLog {
	if size == 0 {
		size = 100_000
	}
	return &secretLog{known: map[string]struct{}{}, size: size}
}

// note remembers values, each once, instead of the oldest when the log is full.
func (l *secretLog) note(values ...string) {
	if l.size < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, value := range values {
		if _, known := l.known[value]; known || len(value) < shortestSecret {
			continue
		}
		l.known[value] = struct{}{}
		if len(l.ring) < l.size {
			l.ring = append(l.ring, value)
			continue
		}
		delete(l.known, l.ring[l.next])
		l.ring[l.next] = value
		l.next = (l.next + 1) % l.size
	}
}

// Secrets returns every secret that was configured, received or issued, as far as [Options.SecretLog] reaches: access,
// refresh and ID tokens, authorization codes and device codes, code verifiers, passwords and client secrets, right or
// wrong, what an Authorization: Basic header makes of them, and what the address of a callback makes of a code. User codes
// are not among them, since they are made to be shown. Values of less than four bytes are left out, since they turn up in
// any text.
func (s *Server) Secrets() []string {
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	return append([]string(nil), s.secrets.ring...)
}

// secretParameters are the parameters of a request that nobody else may see. On a page, code can be a user code, which
// is made to be shown.
func (e Endpoint) secretParameters() []string {
	switch e {
	case AuthorizationEndpoint, StoreEndpoint, ConfirmationEndpoint, DeviceEndpoint:
		return []string{"password"}
	}
	return []string{
		"client_secret", "password", "refresh_token", "access_token", "code", "code_verifier", "device_code", "token",
		"assertion", "client_assertion",
	}
}

// noteCode remembers a code, also as it looks in the address of a callback.
func (l *secretLog) noteCode(code string) { l.note(code, url.QueryEscape(code)) }

// noteSecrets remembers what a request carries.
func (m *Market) noteSecrets(x *exchange) {
	for _, name := range x.endpoint.secretParameters() {
		m.server.secrets.note(x.parameters[name])
	}
	if x.basic != nil {
		_, encoded, _ := strings.Cut(x.request.Header.Get("Authorization"), " ")
		m.server.secrets.note(x.basic.secret, encoded)
	}
	if x.endpoint == IdentityEndpoint {
		m.server.secrets.note(m.platform.Identity.token(x.request))
	}
}
