package demomarket

import (
	"net/url"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
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

// secretParameters are the parameters of a request that nobody else may see. On a page, code can be a user code, which
// is made to be shown.
func secretParameters(e platforms.Endpoint) []string {
	switch e {
	case platforms.AuthorizationEndpoint, platforms.StoreEndpoint, platforms.ConfirmationEndpoint, platforms.DeviceEndpoint:
		return []string{"password"}
	}
	return []string{
		"client_secret", "password", "refresh_token", "access_token", "code", "code_verifier", "device_code", "token",
		"assertion", "client_assertion",
	}
}

// noteCode remembers a code, also as it looks in the address of a callback.
func (l *secretLog) noteCode(code string) { l.note(code, url.QueryEscape(code)) }
