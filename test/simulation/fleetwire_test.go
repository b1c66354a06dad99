package simulation_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// In a fleet, the operator has a process of its own, so that the system accounts for its memory and its processor time alone. The world is in
// the process that started it. They speak through two pipes: one call, one answer. A process that waits for a pipe is not at rest, so the
// clock of its bubble stands still meanwhile; each call says what time it is, and the world's clock follows.

// callKind is the kind of a call.
type callKind int

const (
	// toAPIServer and toMarketplace are requests, and toWatch asks for further events of a watch.
	toAPIServer callKind = iota
	toMarketplace
	toWatch
	// onTick is made with each sample, and onMeasured once the operator has measured its memory. onEnd is the last.
	onTick
	onMeasured
	onEnd
)

// call is a request of the operator's process to the world's.
type call struct {
	Kind callKind
	At   time.Time
	// Method, URL, Accept, ContentType, Authorization and Body are a request.
	Method, URL, Accept, ContentType, Authorization string
	Body                                            []byte
	Watch                                           int
	Sample                                          sample
}

// answer is the answer of the world.
type answer struct {
	Status int
	Header map[string]string
	Body   []byte
	// Late is how long the answer takes, and Fails how the connection does, by the name of a fault; Sent tells that the request was sent before.
	Late  time.Duration
	Fails string
	// Watch is the number of a watch that begins, and More tells that it has more to tell before it waits.
	Watch int
	More  bool
	// Watched are the events of watches, in their order.
	Watched []watchAnswer
	Do      order
}

// order is an order of the world to the operator's process.
type order int

const (
	goOn order = iota
	measureMemory
	end
)

// watchAnswer holds the events of one watch.
type watchAnswer struct {
	Watch int
	Data  []byte
}

// wire is the operator's end of the pipes, and all that is known there of the world.
type wire struct {
	mu  sync.Mutex // held during a call
	out *gob.Encoder
	in  *gob.Decoder

	watching sync.Mutex // guards watches
	watches  map[int]*watchBody
	pace     pace
	underway underway
}

func newWire(in io.Reader, out io.Writer) *wire {
	return &wire{out: gob.NewEncoder(out), in: gob.NewDecoder(in), watches: map[int]*watchBody{}}
}

// call asks the world, and hands the watches their events.
func (w *wire) call(c call) (answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.At = time.Now()
	var a answer
	if err := w.out.Encode(c); err != nil {
		return a, fmt.Errorf("asking the world: %w", err)
	}
	if err := w.in.Decode(&a); err != nil {
		return a, fmt.Errorf("hearing from the world: %w", err)
	}
	if a.Watch != 0 && c.Kind == toAPIServer {
		w.watch(a.Watch, a.More)
	}
	for _, told := range a.Watched {
		w.watching.Lock()
		body := w.watches[told.Watch]
		w.watching.Unlock()
		if body != nil {
			body.tell(told.Data)
		}
	}
	return a, nil
}

func (w *wire) watch(number int, more bool) {
	w.watching.Lock()
	defer w.watching.Unlock()
	w.watches[number] = &watchBody{wire: w, number: number, more: more, told: make(chan struct{}, 1), closed: make(chan struct{})}
}

// watchBody is the body of an answer that does not end.
type watchBody struct {
	wire   *wire
	number int
	told   chan struct{}
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex // guards the rest
	data bytes.Buffer
	more bool
}

func (b *watchBody) tell(data []byte) {
	b.mu.Lock()
	b.data.Write(data)
	b.mu.Unlock()
	select {
	case b.told <- struct{}{}:
	default:
	}
}

// Read implements io.Reader. What there is at the beginning is asked for piece by piece, as a connection brings it: nobody holds it whole.
func (b *watchBody) Read(into []byte) (int, error) {
	for {
		b.mu.Lock()
		if b.data.Len() > 0 {
			defer b.mu.Unlock()
			return b.data.Read(into)
		}
		more := b.more
		b.mu.Unlock()
		if more {
			a, err := b.wire.call(call{Kind: toWatch, Watch: b.number})
			if err != nil {
				return 0, err
			}
			b.mu.Lock()
			b.more = a.More
			b.mu.Unlock()
			continue
		}
		select {
		case <-b.told:
		case <-b.closed:
			return 0, io.EOF
		}
	}
}

// Close implements io.Closer.
func (b *watchBody) Close() error {
	b.once.Do(func() {
		close(b.closed)
		b.wire.watching.Lock()
		delete(b.wire.watches, b.number)
		b.wire.watching.Unlock()
	})
	return nil
}

// pace makes requests to the API server wait for each other, where more come than it can take.
type pace struct {
	// every is the time from one request to the next, and takes how long each takes by itself.
	every, takes time.Duration

	mu   sync.Mutex // guards next
	next time.Time
}

func (p *pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	begins := p.next
	p.next = p.next.Add(p.every)
	return begins.Sub(now) + p.takes
}

// underway counts requests to hosts of marketplaces.
type underway struct {
	mu        sync.Mutex // guards the rest
	now, most map[string]int
}

func (u *underway) change(host string, by int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil {
		u.now, u.most = map[string]int{}, map[string]int{}
	}
	u.now[host] += by
	u.most[host] = max(u.most[host], u.now[host])
}

// since returns the most since it was asked last.
func (u *underway) since() map[string]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	most := u.most
	u.most = map[string]int{}
	return most
}

// linger lets virtual time pass, unless ctx ends.
func linger(ctx context.Context, long time.Duration) error {
	if long <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func callOf(kind callKind, request *http.Request) (call, error) {
	c := call{
		Kind: kind, Method: request.Method, URL: request.URL.String(), Accept: request.Header.Get("Accept"),
		ContentType: request.Header.Get("Content-Type"), Authorization: request.Header.Get("Authorization"),
	}
	if request.Body == nil {
		return c, nil
	}
	defer request.Body.Close()
	var err error
	c.Body, err = io.ReadAll(request.Body)
	return c, err
}

func (a answer) response(request *http.Request) *http.Response {
	header := http.Header{}
	for key, value := range a.Header {
		header.Set(key, value)
	}
	return &http.Response{
		StatusCode: a.Status, Status: fmt.Sprint(a.Status, " ", http.StatusText(a.Status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(bytes.NewReader(a.Body)), ContentLength: int64(len(a.Body)), Request: request,
	}
}

// apiConnection carries requests to the simulated API server.
type apiConnection struct{ wire *wire }

// RoundTrip implements http.RoundTripper.
func (a apiConnection) RoundTrip(request *http.Request) (*http.Response, error) {
	c, err := callOf(toAPIServer, request)
	if err != nil {
		return nil, err
	}
	watches := strings.Contains(request.URL.RawQuery, "watch=")
	if !watches {
		if err := linger(request.Context(), a.wire.pace.wait()); err != nil {
			return nil, err
		}
	}
	told, err := a.wire.call(c)
	if err != nil {
		return nil, err
	}
	response := told.response(request)
	if told.Watch != 0 {
		a.wire.watching.Lock()
		body := a.wire.watches[told.Watch]
		a.wire.watching.Unlock()
		context.AfterFunc(request.Context(), func() { _ = body.Close() })
		response.Body, response.ContentLength = body, -1
	}
	return response, nil
}

// marketConnection carries requests to the simulated marketplaces, which take a while to answer.
type marketConnection struct {
	wire  *wire
	takes time.Duration
}

// RoundTrip implements http.RoundTripper.
func (m marketConnection) RoundTrip(request *http.Request) (*http.Response, error) {
	m.wire.underway.change(request.URL.Host, 1)
	defer m.wire.underway.change(request.URL.Host, -1)
	c, err := callOf(toMarketplace, request)
	if err != nil {
		return nil, err
	}
	told, err := m.wire.call(c)
	if err != nil {
		return nil, err
	}
	failure := faults[told.Fails]
	if trace := httptrace.ContextClientTrace(request.Context()); trace != nil && trace.WroteHeaders != nil && !failure.unsent {
		trace.WroteHeaders()
	}
	if err := linger(request.Context(), m.takes+told.Late); err != nil {
		return nil, err
	}
	if failure.fails != nil {
		return nil, failure.fails
	}
	if told.Status == 0 {
		return nil, errors.New("the world has no answer")
	}
	return told.response(request), nil
}
