package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// maxAnswer is the size of the largest answer that is read, as in x/oauth2.
const maxAnswer = 1 << 20

// Endpoint is a token endpoint and the application that asks there.
type Endpoint struct {
	// TokenURL is where tokens are asked for.
	TokenURL string
	// ClientID and ClientSecret are the application's. How they are sent is the transport's business.
	ClientID, ClientSecret string
	// HTTP makes the calls. Its transport turns standard requests and answers into the platform's and back.
	HTTP *http.Client
	// Now is the clock; lifetimes count from before the request was sent.
	Now func() time.Time
	// Meaning returns the kind of one of the platform's own error codes; nil when it has none.
	Meaning func(code string, status int) (answer.Kind, bool)
	// SingleUse tells that a refresh token works once here, and that a second use is not forgiven.
	SingleUse bool
}

// ask makes one token request and reads the answer.
func (e Endpoint) ask(
	ctx context.Context, kind wire, secrets []string, request func(context.Context, *oauth2.Config) (*oauth2.Token, error),
) (answer.Tokens, error) {
	token, issued, err := exchange(ctx, e, kind, secrets, request)
	if err != nil {
		return answer.Tokens{}, err
	}
	return tokensOf(token, issued), nil
}

// exchange makes one request and returns the answer as x/oauth2 read it, and when the request was sent. The request
// repeats under no circumstances.
func exchange[Answer any](
	ctx context.Context, e Endpoint, kind wire, secrets []string, request func(context.Context, *oauth2.Config) (Answer, error),
) (answer Answer, issued time.Time, err error) {
	config := &oauth2.Config{
		ClientID:     e.ClientID,
		ClientSecret: e.ClientSecret,
		// The style is fixed, since x/oauth2 probes otherwise: it repeats a refused request in another form.
		Endpoint: oauth2.Endpoint{TokenURL: e.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	client := e.client()
	client.Transport = withContext{ctx, client.Transport}

	issued = e.Now()
	answer, err = request(context.WithValue(ctx, oauth2.HTTPClient, client), config)
	if err != nil {
		err = attempt{
			wire:      kind,
			secrets:   append(secrets, e.ClientSecret),
			now:       e.Now(),
			sent:      sent.Load(),
			meaning:   e.Meaning,
			singleUse: e.SingleUse && kind == wireRefreshToken,
		}.classify(err)
	}
	return answer, issued, err
}

// withContext gives requests a context that have none: those for device codes, which x/oauth2 makes without.
type withContext struct {
	ctx  context.Context
	next http.RoundTripper // returns answers that it has read to their end
}

// RoundTrip implements http.RoundTripper.
func (w withContext) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Context().Value(oauth2.HTTPClient) != nil {
		return w.next.RoundTrip(request)
	}
	ctx := w.ctx
	if deadline, bounded := request.Context().Deadline(); bounded { // the timeout of the http.Client
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	response, err := w.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return refusedCode(response)
}

// client is HTTP with a rule on top: credentials go to one address and no further.
func (e Endpoint) client() *http.Client {
	client := wholeAnswers(e.HTTP)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// wholeAnswers returns a client like this one that hands answers on when they have arrived, and are not too
// large.
func wholeAnswers(client *http.Client) *http.Client {
	same := *client
	same.Transport = whole{client.Transport}
	return &same
}

// whole reads an answer before it hands it on. So one of success that breaks off is a connection that failed, and the
// outcome is not known, unless its tokens had arrived whole; x/oauth2 would call it an answer that makes no sense.
type whole struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w whole) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	arriving := response.Body
	defer func() { _ = arriving.Close() }()
	body, broken := io.ReadAll(io.LimitReader(arriving, maxAnswer))
	if response.StatusCode/100 == 2 { // the status of any other answer says enough
		switch shape, members, object := answer.Read(body); {
		case shape == answer.TokenSet:
			body = withoutError(members, object)
			response.Header.Set("Content-Type", "application/json") // whatever it was called
		case broken != nil:
			return nil, broken
		case shape == answer.Page:
			return nil, pageError{}
		}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// withoutError takes the members of an error out of a token set: some platforms write "no error" there, and x/oauth2 would
// take it for one.
func withoutError(members map[string]json.RawMessage, object []byte) []byte {
	before := len(members)
	for _, name := range []string{"error", "error_description", "error_uri"} {
		delete(members, name)
	}
	if len(members) == before {
		return object
	}
	if clean, err := json.Marshal(members); err == nil {
		return clean
	}
	return object
}

// pageError is a web page in the place of an answer.
type pageError struct{}

func (pageError) Error() string { return "the marketplace's answer is a web page" }

// FromPlatform implements malformed.
func (pageError) FromPlatform() bool { return false }
