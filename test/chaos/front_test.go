package chaos_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// front stands between the operator and the demo marketplace. It knows which account a token request is for, and which tokens
// it brought in which order, so that a story can hold a request and no program can pass an old token off as a new one.
type front struct {
	market *demomarket.Server
	server *httptest.Server

	mu sync.Mutex // guards the fields below
	// holders are accounts by a value that only they send: a refresh token, a user's name, a client.
	holders map[string]string
	issued  map[string]*issue // by access token
	counts  map[string]*count // by account
	arrival map[string]func(r *http.Request)
	commit  map[string]func(r *http.Request)
	windows []window
	// resorts are the last resorts of each account.
	resorts map[string]*resorts
	// senders counts the requests by the address that they came from.
	senders map[string]int
}

// issue is an answer with tokens.
type issue struct {
	account string
	number  int // among the requests for the account
	// answered is when it was written to the operator, stored when the API server had it; zero before.
	answered, stored time.Time
}

// count are the counters of an account.
type count struct {
	// number are the answers with tokens.
	number int
	// asked are the requests since tokens were stored last, issued those that the platform acted on, and answered those whose answer
	// was taken.
	asked, issued, answered int
}

// resorts are the last resorts that the API server had before the token was sent: in all, and those of the journal at hand.
type resorts struct {
	all, journal int
	serial       int64 // of the grant
}

// window is how long the only copy of a pair was in the operator's memory.
type window struct {
	toWrite time.Duration // from the answer to the write that stores it, as it reached the API server
	toStore time.Duration // and to that write's success
}

func newFront(market *demomarket.Server) *front {
	f := &front{
		market: market, holders: map[string]string{}, issued: map[string]*issue{}, counts: map[string]*count{},
		arrival: map[string]func(*http.Request){}, commit: map[string]func(*http.Request){}, senders: map[string]int{}, resorts: map[string]*resorts{},
	}
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.Start()
	return f
}

// holds tells that only this account sends a value.
func (f *front) holds(account, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holders[value] = account
}

// at sets the function that runs when a token request for the account has arrived, and when its answer is about to leave.
func (f *front) at(account string, arrival, commit func(*http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrival[account], f.commit[account] = arrival, commit
}

// count returns the counters of an account.
func (f *front) count(account string) count {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.countOf(account)
}

func (f *front) countOf(account string) *count {
	if f.counts[account] == nil {
		f.counts[account] = &count{}
	}
	return f.counts[account]
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.sentFrom(r.RemoteAddr)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // it was not sent to its end
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	account := f.accountOf(parameters(r, body))
	if r.Method != http.MethodPost || account == "" {
		f.market.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.countOf(account).asked++
	arrival, commit := f.arrival[account], f.commit[account]
	f.mu.Unlock()
	if arrival != nil {
		arrival(r)
	}
	f.market.ServeHTTP(&answer{ResponseWriter: w, front: f, account: account, request: r, commit: commit}, r)
}

func (f *front) sentFrom(remote string) {
	address, _, _ := strings.Cut(remote, ":")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.senders[address]++
}

// requestsFrom counts the requests that came from an address.
func (f *front) requestsFrom(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.senders[address]
}

// parameters are the parameters of a token request, in whichever form, with the client that Basic authentication names.
func parameters(r *http.Request, body []byte) map[string]string {
	sent := map[string]string{}
	if json.Unmarshal(body, &sent) != nil {
		if form, err := url.ParseQuery(string(body)); err == nil {
			for name := range form {
				sent[name] = form.Get(name)
			}
		}
	}
	if id, _, ok := r.BasicAuth(); ok {
		sent["client_id"], _ = url.QueryUnescape(id)
	}
	return sent
}

// accountOf is the account that a request is for.
func (f *front) accountOf(sent map[string]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range []string{"refresh_token", "username", "client_id"} {
		if account := f.holders[sent[name]]; account != "" {
			return account
		}
	}
	return ""
}

// answer notes the tokens in an answer before it leaves.
type answer struct {
	http.ResponseWriter
	front   *front
	account string
	request *http.Request
	commit  func(*http.Request)
	body    bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.commit != nil && status == http.StatusOK {
		a.commit(a.request)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (a *answer) Write(part []byte) (int, error) {
	a.body.Write(part)
	noted := a.front.note(a.account, a.body.Bytes())
	if err := a.request.Context().Err(); err != nil {
		return 0, err // so that the judge knows that the operator is not there any more
	}
	n, err := a.ResponseWriter.Write(part)
	if noted != nil && err == nil {
		a.front.deliver(a.account)
		_ = http.NewResponseController(a.ResponseWriter).Flush() // it is on its way, before anything else happens here
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// note remembers the tokens of an answer; nil when it holds none.
func (f *front) note(account string, body []byte) *issue {
	var tokens struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &tokens) != nil || tokens.AccessToken == "" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	counted := f.countOf(account)
	counted.number++
	counted.issued++
	noted := &issue{account: account, number: counted.number, answered: time.Now()}
	f.issued[tokens.AccessToken] = noted
	if tokens.RefreshToken != "" {
		f.holders[tokens.RefreshToken] = account
	}
	return noted
}

// deliver counts an answer with tokens that was taken.
func (f *front) deliver(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countOf(account).answered++
}

// find returns the record of an access token; false when the marketplace did not issue it to one of these accounts.
func (f *front) find(accessToken string) (issue, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.issued[accessToken]; known != nil {
		return *known, true
	}
	return issue{}, false
}

// isNew tells whether a custody holds tokens that were not stored before.
func (f *front) isNew(kept *custody.Custody) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notStored(kept) != nil
}

// stored notes that the API server has a custody, in a write that had arrived before.
func (f *front) stored(kept *custody.Custody, arrived time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.notStored(kept); known != nil {
		f.store(known)
		f.windows = append(f.windows, window{toWrite: arrived.Sub(known.answered), toStore: known.stored.Sub(known.answered)})
	}
}

func (f *front) notStored(kept *custody.Custody) *issue {
	for _, grant := range []*custody.Grant{&kept.Grant, kept.Candidate} {
		if grant != nil && grant.Tokens != nil {
			if known := f.issued[grant.Tokens.AccessToken]; known != nil && known.stored.IsZero() {
				return known
			}
		}
	}
	return nil
}

// settled notes that the API server shows a custody, in case the answer to its write was lost.
func (f *front) settled(kept *custody.Custody) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.notStored(kept); known != nil {
		f.store(known)
	}
}

// store is called with the lock held.
func (f *front) store(known *issue) {
	known.stored = time.Now()
	counted := f.countOf(known.account)
	counted.asked, counted.issued, counted.answered = 0, 0, 0
}

// beginAnew forgets the requests that were not stored: a person has brought another grant.
func (f *front) beginAnew(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	counted := f.countOf(account)
	counted.asked, counted.issued, counted.answered = 0, 0, 0
}

// wrote takes note of a custody that the API server has.
func (f *front) wrote(account string, kept *custody.Custody) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.resorts[account]
	if known == nil {
		known = &resorts{}
		f.resorts[account] = known
	}
	if kept.Serial < known.serial {
		return // the answers to two operators came in the other order
	}
	journal := 0
	for _, j := range []*custody.Journal{kept.Journal, kept.ImportJournal} {
		if j != nil {
			journal += j.LastResorts
		}
	}
	known.all += max(0, journal-known.journal)
	known.journal, known.serial = journal, kept.Serial
}

// lastResorts counts the last resorts of all accounts.
func (f *front) lastResorts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := 0
	for _, account := range f.resorts {
		all += account.all
	}
	return all
}

// measured are the windows so far.
func (f *front) measured() []window {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.windows)
}
