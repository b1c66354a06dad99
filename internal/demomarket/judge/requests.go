package judge

import (
	"maps"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Request is a token request as it arrived, with all its secrets, and its outcome.
type Request struct {
	Time     time.Time
	Platform string
	// Grant is the grant type, as it was sent.
	Grant string
	// Parameters are the parameters of the body, or of the query when there is no body.
	Parameters map[string]string
	Header     http.Header
	// ContentType is the media type, without charset and the like.
	ContentType string
	// Basic tells whether there was an Authorization: Basic header.
	Basic bool
	// ClientID is the client that authenticated itself. Empty means that none did.
	ClientID string
	Outcome  platforms.Outcome
	// DoubleSpend and GraceReuse tell whether a spent refresh token was presented, after its grace or within.
	DoubleSpend, GraceReuse bool
	// Lost tells whether the answer held a new refresh token and did not arrive.
	Lost bool
}

// requestLog remembers the newest requests. The judge's lock guards it.
type requestLog struct {
	ring []*Request
	size int // of the ring when it is full; none when negative
	next int
}

// newRequestLog returns a log of this size, see New.
func newRequestLog(size int) requestLog {
	if size == 0 {
		size = 1000
	}
	return requestLog{size: size}
}

// wanted tells whether anything is to be remembered.
func (l *requestLog) wanted() bool { return l.size > 0 }

// add remembers a request instead of the oldest, once the log is full.
func (l *requestLog) add(request *Request) {
	if len(l.ring) < l.size {
		l.ring = append(l.ring, request)
		return
	}
	l.ring[l.next] = request
	l.next = (l.next + 1) % l.size
}

// all returns copies, oldest first.
func (l *requestLog) all() []Request {
	requests := make([]Request, 0, len(l.ring))
	for i := range l.ring {
		request := *l.ring[(l.next+i)%len(l.ring)]
		request.Parameters, request.Header = maps.Clone(request.Parameters), request.Header.Clone()
		requests = append(requests, request)
	}
	return requests
}
