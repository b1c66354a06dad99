package recorded

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// The application and the portal of the exchanges.
const (
	recordedClientID     = "client-1"
	recordedClientSecret = "secret/1+="
	recordedPortal       = "https://tokens.example.com/"
)

// platform acts by the exchanges of one folder.
type platform struct {
	name    string
	options *Options
	files   map[string][]byte
	steps   []*step
	// madeUp are values of the files that differ at each visit.
	madeUp map[string]bool

	// keeps tells that a refresh token which was used goes on, since the files say that it can be sent again at any time.
	keeps bool

	mu sync.Mutex
	// access are the access tokens that were issued, refresh the refresh tokens: true while they are good.
	access, refresh map[string]bool
	// nonces are the nonces that the ID tokens for codes must hold.
	nonces map[string]string
}

func newPlatform(name string, folder fs.FS, o *Options) (*platform, error) {
	p := &platform{
		name: name, options: o, files: map[string][]byte{}, access: map[string]bool{}, refresh: map[string]bool{}, nonces: map[string]string{},
		madeUp: map[string]bool{recordedClientID: true, recordedClientSecret: true},
	}
	paths, err := fs.Glob(folder, "*.txtar")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := fs.ReadFile(folder, path)
		if err != nil {
			return nil, err
		}
		file, err := exchange.Parse(path, text)
		if err != nil {
			return nil, err
		}
		p.files[file.Name] = text
		p.add(file)
	}
	slices.SortStableFunc(p.steps, func(a, b *step) int { return cmp.Compare(b.of, a.of) })
	return p, nil
}

// add takes in the steps of a file.
func (p *platform) add(file *exchange.File) {
	var ask exchange.Ask
	var after time.Duration
	held, code := "", ""
	for i, recorded := range file.Steps {
		ask = ask.Then(recorded.Ask)
		after += time.Duration(recorded.Ask.After)
		s := &step{file: file.Name, at: i, of: len(file.Steps), after: after, ask: ask, before: held, code: code, Step: recorded}
		_ = yaml.Unmarshal(recorded.Result, &s.result) // of an outcome that is a list, none of this is wanted
		p.steps = append(p.steps, s)
		p.keeps = p.keeps || recorded.Outcome == "lost" && s.result.Again == "always"
		if recorded.Ask.RefreshToken != "" {
			p.refresh[recorded.Ask.RefreshToken] = true // a user brought it
		}
		for _, value := range slices.Concat(slices.Collect(maps.Values(ask.Application)), []string{
			ask.State, ask.Nonce, ask.Verifier, ask.Username, ask.Password, ask.Code, ask.DeviceCode, ask.AccessToken, ask.RefreshToken,
			s.result.Code, s.result.AccessToken, s.result.RefreshToken, s.result.DeviceCode,
		}) {
			if value != "" {
				p.madeUp[value] = true
			}
		}
		held, code = cmp.Or(s.result.RefreshToken, held), cmp.Or(s.result.Code, ask.Code, code)
		if ask.Do == exchange.Renew {
			ask.RefreshToken = "" // the steps that follow send its successor
		}
	}
}

// ServeHTTP implements http.Handler.
func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent, err := parametersOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodGet && p.sendBack(w, r, sent) {
		return
	}
	fitting := p.fitting(r, sent)
	if len(fitting) == 0 {
		refuse(w, http.StatusBadRequest, "invalid_request", fmt.Sprintf("no exchange in test/marketplaces/%s fits this request", p.name))
		return
	}
	first := fitting[0]
	switch first.ask.Do {
	case exchange.Identify:
		p.identify(w, fitting)
	default:
		p.answer(w, fitting)
	}
}

// fit is a step that a request fits, and the request's values for the made-up ones of the file.
type fit struct {
	*step
	actual map[string]string
}

// fitting are the steps that a request fits, the longest files first.
func (p *platform) fitting(r *http.Request, sent url.Values) []fit {
	var all []fit
	for _, s := range p.steps {
		if s.Request == nil || s.Request.Method != r.Method || s.Answer == nil {
			continue
		}
		address, err := url.Parse(s.Request.URL)
		if err != nil || "/"+p.name+address.Path != r.URL.Path {
			continue
		}
		recorded, err := recordedParameters(s.Request)
		if err != nil {
			continue
		}
		if actual, ok := p.fits(recorded, sent); ok && p.headersFit(s.Request, r.Header, actual) {
			all = append(all, fit{s, actual})
		}
	}
	return all
}

// fits tells whether parameters are the ones of a file, and returns the values for its made-up ones.
func (p *platform) fits(recorded, sent url.Values) (map[string]string, bool) {
	actual := map[string]string{}
	if len(recorded) != len(sent) {
		return nil, false
	}
	for name := range recorded {
		want, got := recorded.Get(name), sent.Get(name)
		switch {
		case !sent.Has(name):
			return nil, false
		case name == "code_challenge", want == exchange.Random, p.madeUp[want], strings.HasPrefix(want, recordedPortal):
			actual[want] = got
		case want != got:
			return nil, false
		}
	}
	return actual, true
}

// headersFit tells whether the headers of a file are there, and takes in the values for made-up ones.
func (p *platform) headersFit(recorded *exchange.Request, sent http.Header, actual map[string]string) bool {
	for name, want := range recorded.Headers {
		got := sent.Get(name)
		if name == "User-Agent" || got == want {
			continue
		}
		if basic, isBasic := strings.CutPrefix(want, "Basic "); isBasic && basic != "" {
			id, secret, _ := (&http.Request{Header: sent}).BasicAuth()
			actual[recordedClientID], actual[recordedClientSecret] = unescaped(id), unescaped(secret)
			continue
		}
		found := false
		for madeUp := range p.madeUp {
			before, after, ok := strings.Cut(want, madeUp)
			if ok && strings.HasPrefix(got, before) && strings.HasSuffix(got, after) && len(got) >= len(before)+len(after) {
				found = true
				actual[madeUp] = got[len(before) : len(got)-len(after)]
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// unescaped undoes the encoding of one part of Basic (RFC 6749 section 2.3.1).
func unescaped(part string) string {
	if plain, err := url.QueryUnescape(part); err == nil {
		return plain
	}
	return part
}

// answer answers a request for tokens, or for the end of a grant.
func (p *platform) answer(w http.ResponseWriter, fitting []fit) {
	first := fitting[0]
	sent := first.actual[first.sentRefreshToken()]
	good, known := p.refresh[sent]
	switch {
	case !p.isOurs(first.actual):
		p.refuse(w, fitting, "ApplicationRejected", http.StatusUnauthorized, "invalid_client")
	case first.ask.Do == exchange.Renew && (!known || !good):
		p.refuse(w, fitting, "GrantRejected", http.StatusBadRequest, "invalid_grant")
	default:
		at := slices.IndexFunc(fitting, func(f fit) bool { return f.Outcome != "refused" })
		p.give(w, fitting[max(at, 0)])
		if first.ask.Do == exchange.Revoke {
			p.refresh[sent] = false
		}
	}
}

// isOurs tells whether the application's credentials are the demo's, as far as the request has any.
func (p *platform) isOurs(actual map[string]string) bool {
	id, hasID := actual[recordedClientID]
	secret, hasSecret := actual[recordedClientSecret]
	return (!hasID || id == p.options.ClientID) && (!hasSecret || secret == p.options.ClientSecret)
}

// refuse gives the refusal of this kind that the platform's files have, or else a standard one.
func (p *platform) refuse(w http.ResponseWriter, fitting []fit, kind string, status int, code string) {
	at := slices.IndexFunc(fitting, func(f fit) bool { return f.Outcome == "refused" && f.result.Kind == kind })
	if at < 0 {
		refuse(w, status, code, "")
		return
	}
	p.give(w, fitting[at])
}

// identify answers whether an access token works, and names its account.
func (p *platform) identify(w http.ResponseWriter, fitting []fit) {
	for _, f := range fitting {
		good := p.access[f.actual[f.ask.AccessToken]]
		if good == (f.Outcome == "identity") {
			p.give(w, f)
			return
		}
	}
	refuse(w, http.StatusUnauthorized, "invalid_token", "")
}

// give writes the answer of a step, with tokens never issued before and moments that count from now.
func (p *platform) give(w http.ResponseWriter, f fit) {
	text := swap(p.files[f.file], recordedClientID, p.options.ClientID) // in ID tokens, as the nonce
	if nonce := p.nonces[f.actual[f.code]]; nonce != "" {
		text = swap(text, f.ask.Nonce, nonce)
	}
	file, err := exchange.ParseAt(f.file, text, p.options.Now().Add(-f.after).Truncate(time.Second))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	now := file.Steps[f.at]
	body := now.Answer.Body
	if f.Outcome == "tokens" {
		var told result
		_ = yaml.Unmarshal(now.Result, &told) // it was read before
		access := told.AccessToken + "-" + p.options.Text()
		p.access[access] = true
		body = swap(body, told.AccessToken, access)
		if recorded := f.sentRefreshToken(); told.RefreshToken != "" {
			refresh := told.RefreshToken + "-" + p.options.Text()
			switch {
			case f.result.RefreshToken == recorded:
				refresh = f.actual[recorded] // the same goes on
			case told.RefreshToken == told.AccessToken:
				refresh = access // it renews itself
			case recorded != "" && !p.keeps:
				p.refresh[f.actual[recorded]] = false
			}
			p.refresh[refresh] = true
			body = swap(body, told.RefreshToken, refresh)
		}
	}
	maps.Copy(w.Header(), now.Answer.Header)
	w.WriteHeader(now.Answer.Status)
	_, _ = w.Write(body) // no client left to tell
}

// swap puts another text in the place of one in JSON.
func swap(body []byte, from, to string) []byte {
	return bytes.ReplaceAll(body, []byte(`"`+from+`"`), []byte(`"`+to+`"`))
}

// refuse writes a standard refusal (RFC 6749 section 5.2).
func refuse(w http.ResponseWriter, status int, code, description string) {
	members := map[string]string{"error": code}
	if description != "" {
		members["error_description"] = description
	}
	text, _ := json.Marshal(members) // cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // no client left to tell
}
