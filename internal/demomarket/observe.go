package demomarket

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/faults"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// observed puts the judge, the outages and the faults between a client and an endpoint.
func (m *Market) observed(endpoint platforms.Endpoint, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, r := m.begin(endpoint, r)
		if endpoint == platforms.TokenEndpoint {
			defer m.server.load.Enter()()
			defer m.judge.Load.Enter()()
		}
		watched := &watchedWriter{ResponseWriter: w, begun: func() {
			x.gone = r.Context().Err() != nil
			m.record(x)
		}}
		// Deferred, because a fault that closes the connection panics.
		defer func() { m.end(x, watched) }()

		// A request that was sent arrives, even if its sender is gone by then.
		wait(r.Context(), m.delay(endpoint))
		if m.IsDown() {
			faults.MaintenancePage().Write(watched)
			return
		}
		x.strike.Refuse = func(w http.ResponseWriter, outcome platforms.Outcome) {
			m.refuse(w, x, deny(outcome, "refused by an injected fault"))
		}
		if hook := m.faults.Strike(endpoint, &x.strike, func() judge.Request { return x.describe(m.platform.Name) }); hook != nil {
			hook(watched, r, serve)
			return
		}
		serve(watched, r)
	})
}

// delay is how long a request waits before it is acted on. A token answer waits as long again.
func (m *Market) delay(endpoint platforms.Endpoint) time.Duration {
	if endpoint == platforms.TokenEndpoint {
		return m.slowness() / 2
	}
	return m.slowness()
}

// readDevice takes the parameters of a device authorization request.
func readDevice(d platforms.Device, x *exchange, r *http.Request) {
	if d.Query {
		x.readAnywhere(r)
		return
	}
	x.read(r, platforms.Form)
}

// begin reads the request. The body is read to its end, since only then does net/http notice that a client went away.
func (m *Market) begin(endpoint platforms.Endpoint, r *http.Request) (*exchange, *http.Request) {
	x := &exchange{endpoint: endpoint, time: m.now(), issuer: m.issuer(r), basic: basicCredentials(r)}
	r = faults.With(r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)), &x.strike)
	x.request = r
	switch endpoint {
	case platforms.TokenEndpoint, platforms.RevocationEndpoint:
		x.read(r, m.encoding(endpoint))
	case platforms.DeviceAuthorizationEndpoint:
		readDevice(m.platform.Device, x, r)
	case platforms.AuthorizationEndpoint, platforms.StoreEndpoint, platforms.ConfirmationEndpoint, platforms.DeviceEndpoint:
		x.readPage(r)
	}
	m.noteSecrets(x)
	return x, r
}

// encoding is the platform's at its token endpoint, and always a form at revocation (RFC 7009 section 2.1).
func (m *Market) encoding(endpoint platforms.Endpoint) platforms.Encoding {
	if endpoint == platforms.RevocationEndpoint {
		return platforms.Form
	}
	return m.platform.Encoding
}

// noteSecrets remembers the secrets of a request.
func (m *Market) noteSecrets(x *exchange) {
	for _, name := range secretParameters(x.endpoint) {
		m.server.secrets.Note(x.parameters[name])
	}
	if x.basic != nil {
		_, encoded, _ := strings.Cut(x.request.Header.Get("Authorization"), " ")
		m.server.secrets.Note(x.basic.secret, encoded)
	}
	if x.endpoint == platforms.IdentityEndpoint {
		m.server.secrets.Note(m.platform.Identity.Token(x.request))
	}
}
