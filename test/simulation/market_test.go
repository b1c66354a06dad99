package simulation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// credential is a part of everything that must not be shown.
const credential = "s3cret"

const (
	clientID     = "shop-app"
	clientSecret = "app-" + credential
	username     = "shop-user"
	password     = "pass-" + credential
)

// market is a simulated marketplace: which grants it honours, and how it answers.
type market struct {
	world *world
	name  string
	// rotating tells that a refresh token is good for one use, and honoured for grace after it. strict ends a grant whose refresh token is used
	// again after that (RFC 9700 section 4.14.2).
	rotating, strict bool
	grace            time.Duration
	// life is how long an access token lives, consentLife how long a consent does, and sliding tells that a renewal prolongs that; zero is
	// for ever.
	life, consentLife time.Duration
	sliding           bool
	// tells is how whose tokens they are is told: by "answer", by "request", by "idtoken" of an issuer, or not at all.
	tells string

	serial int
	// consents are grants by refresh token, also by those that are spent.
	consents map[string]*consent
	issued   map[string]*issue
	// tidyAt is the number of issued tokens at which those that ended long ago are forgotten.
	tidyAt  int
	codes   map[string]*code
	devices map[string]*device
	// next are how the next token requests are answered; outage how all are until outageEnds.
	next       []string
	outage     string
	outageEnds time.Time
	// identityDown is until when identity requests are answered 503, and keysDown the same of an issuer's document, or of its keys alone.
	identityDown, keysDown time.Time
	keysAlone              bool
	// aloneUntil is until when it has asked to be left alone.
	aloneUntil time.Time
	// takes are the client secrets that it takes, ahead how far its clock is, and fewer tells that it grants fewer scopes than it is asked for.
	takes []string
	ahead time.Duration
	fewer bool
	asked int
}

func newMarket(w *world, name string) *market {
	return &market{
		world: w, name: name, tidyAt: 4096, takes: []string{clientSecret},
		consents: map[string]*consent{}, issued: map[string]*issue{}, codes: map[string]*code{}, devices: map[string]*device{},
	}
}

// consent is a grant that a person gave, or an application has.
type consent struct {
	seller string
	// account is the account that it was last renewed for; empty before.
	account string
	current string
	// spent are the refresh tokens that were used, with when that was first.
	spent map[string]time.Time
	ends  time.Time
	ended bool
	// lost tells that an answer with its current refresh token never arrived, or died with a process.
	lost bool
	// resorts counts the second uses outside of the grace.
	resorts int
}

func (c *consent) lose(token string) {
	if token == c.current {
		c.lost = true
	}
}

// issue is an access token.
type issue struct {
	serial  int
	seller  string
	expires time.Time
	consent *consent
}

type code struct {
	seller, nonce, account string
	until                  time.Time
}

type device struct {
	until    time.Time
	approved string
	denied   bool
}

// grant makes a refresh token of a new consent, as a person does who signs in elsewhere and brings it.
func (m *market) grant(seller string) string {
	c := &consent{seller: seller, spent: map[string]time.Time{}}
	if m.consentLife > 0 {
		c.ends = time.Now().Add(m.consentLife)
	}
	return m.mint(c)
}

func (m *market) mint(c *consent) string {
	m.serial++
	c.current = fmt.Sprintf("RT%d-%s-%s", m.serial, m.name, credential)
	m.consents[c.current] = c
	return c.current
}

// fault is how a request ends that is not simply answered. acts tells whether the marketplace acts on the request all the same.
type fault struct {
	acts bool
	// status and body are the answer, header its type or another header.
	status int
	body   string
	header map[string]string
	// cut ends the answer early: "half" in the middle of the body, "end" when it was there.
	cut string
	// fails is the error of the connection, and unsent that it came before the request was sent.
	fails  error
	unsent bool
	// late is how long the answer takes; for ever where it is longer than a call may take.
	late time.Duration
	// verdict tells that it is the platform's word on the request, which is not true.
	verdict bool
	// means is the reason that it is told with, where that is not MarketplaceUnavailable.
	means string
}

// demands is how long the answer wants the marketplace to be left alone; zero where it does not, or for longer than anybody heeds.
func (f fault) demands() time.Duration {
	seconds, err := strconv.Atoi(f.header["Retry-After"])
	if err != nil || seconds > 24*60*60 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

const (
	page  = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We'll be back soon</body></html>"
	html  = "text/html"
	plain = "text/plain"
	jsons = "application/json"
)

func typed(contentType string, more ...string) map[string]string {
	header := map[string]string{"Content-Type": contentType}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

// faults are how token requests may end, by the names that scripts use. Most are cases that were reported of real platforms.
var faults = map[string]fault{
	"page503":       {status: 503, body: page, header: typed(html)},
	"page200":       {status: 200, body: page, header: typed(jsons)},
	"proxy503":      {acts: true, status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination", header: typed(plain)},
	"proxy503idle":  {status: 503, body: "upstream connect error or disconnect/reset before headers", header: typed(plain)},
	"json500":       {acts: true, status: 500, body: `{"error":"Internal Server Error","error_description":"No message available"}`, header: typed(jsons)},
	"json500idle":   {status: 500, body: `{"error":"Internal Server Error"}`, header: typed(jsons)},
	"page502":       {acts: true, status: 502, body: page, header: typed(html)},
	"page502idle":   {status: 502, body: page, header: typed(html)},
	"page504":       {acts: true, status: 504, body: page, header: typed(html)},
	"cutend":        {acts: true, cut: "end"},
	"cuthalf":       {acts: true, cut: "half"},
	"firewall":      {status: 403, body: "error code: 1020", header: typed(plain)},
	"empty403":      {status: 403},
	"throttled":     {status: 429, body: `{"error":"invalid_request","error_description":"Too many requests"}`, header: typed(jsons, "Retry-After", "5"), means: v1alpha1.ReasonRateLimited},
	"throttledlong": {status: 429, body: "slow down", header: typed(plain, "Retry-After", "3600"), means: v1alpha1.ReasonRateLimited},
	"throttledodd":  {status: 429, body: "slow down", header: typed(plain, "Retry-After", "900000"), means: v1alpha1.ReasonRateLimited},
	"limit400":      {status: 400, body: `{"error":"invalid_request","error_description":"Rate limit exceeded, try again later"}`, header: typed(jsons, "Retry-After", "5"), means: v1alpha1.ReasonRateLimited},
	"busy400":       {status: 400, body: `{"error":"temporarily_unavailable"}`, header: typed(jsons)},
	"moved":         {status: 302, header: map[string]string{"Location": "https://elsewhere.example/"}},
	"application":   {status: 401, body: `{"error":"invalid_client"}`, header: typed(jsons), verdict: true, means: v1alpha1.ReasonApplicationRejected},
	"scope":         {status: 400, body: `{"error":"invalid_scope"}`, header: typed(jsons), verdict: true, means: v1alpha1.ReasonScopeRejected},
	"locked":        {status: 400, body: `{"error":"locked"}`, header: typed(jsons), verdict: true, means: v1alpha1.ReasonAccountLocked},
	"request":       {status: 400, body: `{"error":"invalid_request"}`, header: typed(jsons), verdict: true, means: v1alpha1.ReasonInvalidSpec},
	"refused":       {status: 400, body: `{"error":"invalid_grant"}`, header: typed(jsons), verdict: true},
	"timeout408":    {acts: true, status: 408},
	"lost":          {acts: true, fails: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}},
	"lostidle":      {fails: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}},
	"unreachable":   {fails: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, unsent: true},
	"hang":          {acts: true, late: time.Hour},
	"hangidle":      {late: time.Hour},
	"otherseller":   {acts: true},
	"late":          {acts: true, late: 20 * time.Second},
}

// answer answers a request of a process.
func (w *world) answer(p *process, request *http.Request) (*http.Response, error) {
	m := w.markets[strings.TrimSuffix(request.URL.Host, ".example")]
	if m == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no such host")}
	}
	if err := request.Context().Err(); err != nil { // the process stood still, and the time for a call is over
		return nil, err
	}
	m.asked++
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
		_ = request.Body.Close()
	}
	form, _ := url.ParseQuery(string(body))
	name := m.nextAnswer(request.URL.Path)
	if name == "locked" && form.Get("grant_type") != "password" {
		name = "" // it is a login that is locked
	}
	how := faults[name]
	if name != "" {
		w.calm()
	}
	w.keepsPace(form)
	if !how.unsent {
		if trace := httptrace.ContextClientTrace(request.Context()); trace != nil && trace.WroteHeaders != nil {
			trace.WroteHeaders()
		}
	}
	w.note("%s: %s %s is answered %q", p.name, m.name, request.URL.Path, name)
	var status int
	var text string
	var given string
	if name == "" || how.acts {
		status, text, given = m.act(p, request, form, name)
	}
	if how.verdict {
		m.accuse(form, name)
	}
	w.notesFailure(m, form, how, status)
	w.isNeeded(m, request, form, name != "", status)
	w.hears(name, form, text)
	if how.late > 0 {
		w.passCall(request.Context(), how.late)
		p.ends()
		if err := request.Context().Err(); err != nil {
			m.misses(given)
			return nil, err
		}
	}
	p.ends()
	if how.fails != nil {
		m.misses(given)
		return nil, how.fails
	}
	header := http.Header{"Content-Type": {jsons}, "Date": {time.Now().Add(m.ahead).UTC().Format(http.TimeFormat)}}
	if how.status != 0 {
		m.misses(given)
		given, status, text = "", how.status, how.body
		header.Del("Content-Type")
		for key, value := range how.header {
			header.Set(key, value)
		}
		if wait := how.demands(); wait > 0 {
			m.aloneUntil = time.Now().Add(wait)
			w.calmFrom(m.aloneUntil)
		}
	}
	var reader io.Reader = strings.NewReader(text)
	switch how.cut {
	case "half":
		m.misses(given)
		given = ""
		reader = io.MultiReader(strings.NewReader(text[:len(text)/2]), broken{})
	case "end":
		reader = io.MultiReader(reader, broken{})
	}
	if c := m.consents[given]; c != nil {
		p.hand[given] = c
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(reader), ContentLength: -1, Request: request,
	}, nil
}

// misses tells that an answer with this refresh token never arrived.
func (m *market) misses(token string) {
	if c := m.consents[token]; c != nil {
		c.lose(token)
	}
}

// broken is a connection that ends early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// nextAnswer is how the next request is answered; empty as it should be.
func (m *market) nextAnswer(path string) string {
	if m.outage != "" && time.Now().Before(m.outageEnds) {
		return m.outage
	}
	if path == "/me" {
		if time.Now().Before(m.identityDown) {
			return "page503"
		}
		return ""
	}
	if time.Now().Before(m.keysDown) && (path == keysPath || path == discoveryPath && !m.keysAlone) {
		return "page503"
	}
	if path != "/token" || len(m.next) == 0 {
		return ""
	}
	name := m.next[0]
	m.next = m.next[1:]
	return name
}

func oauthError(status int, code string) (int, string, string) {
	return status, fmt.Sprintf(`{"error":%q}`, code), ""
}

// act carries out a request. given is the refresh token of the answer.
func (m *market) act(p *process, request *http.Request, form url.Values, name string) (status int, text, given string) {
	switch request.URL.Path {
	case "/me":
		return m.identify(strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer "))
	case "/device":
		if !slices.Contains(m.takes, form.Get("client_secret")) {
			return oauthError(http.StatusUnauthorized, "invalid_client")
		}
		m.serial++
		made := &device{until: time.Now().Add(15 * time.Minute)}
		code := fmt.Sprintf("DC%d-%s", m.serial, credential)
		m.devices[code] = made
		answer, _ := json.Marshal(map[string]any{
			"device_code": code, "user_code": fmt.Sprintf("AB-%04d", m.serial), "verification_uri": "https://" + m.name + ".example/enter",
			"expires_in": 900, "interval": 60,
		})
		return http.StatusOK, string(answer), ""
	case discoveryPath, keysPath:
		return http.StatusOK, m.issuerDocument(request.URL.Path), ""
	case "/revoke":
		if c := m.consents[form.Get("token")]; c != nil {
			c.ended = true
		}
		return http.StatusOK, "", ""
	case "/token":
		if !slices.Contains(m.takes, form.Get("client_secret")) {
			return oauthError(http.StatusUnauthorized, "invalid_client")
		}
		return m.token(p, form, name)
	}
	return http.StatusNotFound, "", ""
}

func (m *market) token(p *process, form url.Values, name string) (status int, text, given string) {
	switch form.Get("grant_type") {
	case "refresh_token":
		return m.refresh(p, form.Get("refresh_token"), name)
	case "password":
		if form.Get("username") != username || form.Get("password") != password {
			return oauthError(http.StatusBadRequest, "invalid_grant")
		}
		return m.issue("seller-1", nil, "")
	case "client_credentials":
		return m.issue("", nil, "")
	case "authorization_code":
		held := m.codes[form.Get("code")]
		delete(m.codes, form.Get("code"))
		if held == nil || time.Now().After(held.until) {
			return oauthError(http.StatusBadRequest, "invalid_grant")
		}
		made := m.consents[m.grant(held.seller)]
		made.account = held.account
		return m.issue(held.seller, made, held.nonce)
	case "urn:ietf:params:oauth:grant-type:device_code":
		held := m.devices[form.Get("device_code")]
		switch {
		case held == nil || time.Now().After(held.until):
			return oauthError(http.StatusBadRequest, "expired_token")
		case held.denied:
			return oauthError(http.StatusBadRequest, "access_denied")
		case held.approved == "":
			return oauthError(http.StatusBadRequest, "authorization_pending")
		}
		delete(m.devices, form.Get("device_code"))
		made := m.consents[m.grant(held.approved)]
		made.account = m.world.holderOfCode(form.Get("device_code"))
		return m.issue(held.approved, made, "")
	}
	return oauthError(http.StatusBadRequest, "unsupported_grant_type")
}

// refresh honours the refresh token of a grant, and one that is spent within the grace.
func (m *market) refresh(p *process, token, name string) (status int, text, given string) {
	c := m.consents[token]
	if c == nil {
		return oauthError(http.StatusBadRequest, "invalid_grant")
	}
	now := time.Now()
	at, spent := c.spent[token]
	if spent && now.Sub(at) >= m.grace {
		m.world.usedAgain(p, m, c, token, now.Sub(at))
		c.resorts++
		if m.strict {
			c.ended = true
		}
	}
	if c.ended || !c.ends.IsZero() && now.After(c.ends) || spent && now.Sub(at) >= m.grace {
		return oauthError(http.StatusBadRequest, "invalid_grant")
	}
	if m.sliding && m.consentLife > 0 {
		c.ends = now.Add(m.consentLife)
	}
	if m.rotating {
		if !spent {
			c.spent[token] = now
		}
		m.mint(c)
		c.lost = false
	}
	if name == "otherseller" {
		m.world.excuseHolder(token, "the marketplace answered for another seller")
		return m.issue("seller-8", c, "")
	}
	return m.issue(c.seller, c, "")
}

// issue issues an access token, with the refresh token of a grant.
func (m *market) issue(seller string, c *consent, nonce string) (status int, text, given string) {
	m.serial++
	token := fmt.Sprintf("AT%d-%s-%s", m.serial, m.name, credential)
	m.issued[token] = &issue{serial: m.serial, seller: seller, expires: time.Now().Add(m.life), consent: c}
	if len(m.issued) > m.tidyAt {
		m.forget()
		m.tidyAt = max(m.tidyAt, 2*len(m.issued))
	}
	answer := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(m.life / time.Second)}
	if c != nil {
		answer["refresh_token"], given = c.current, c.current
	}
	if m.fewer {
		answer["scope"] = "none"
	}
	if m.tells == "answer" && seller != "" {
		answer["user_id"] = seller
	}
	if m.tells == "idtoken" && seller != "" {
		answer["id_token"] = m.idToken(seller, nonce)
	}
	document, _ := json.Marshal(answer)
	return http.StatusOK, string(document), given
}

// forget drops tokens that ended long ago.
func (m *market) forget() {
	for token, held := range m.issued {
		if time.Since(held.expires) > 2*m.life {
			delete(m.issued, token)
		}
	}
	for _, c := range m.consents {
		for token, at := range c.spent {
			if time.Since(at) > 4*m.life+m.grace && len(c.spent) > 64 {
				delete(c.spent, token)
				delete(m.consents, token)
			}
		}
	}
}

func (m *market) identify(token string) (status int, text, given string) {
	held := m.issued[token]
	if held == nil || time.Now().After(held.expires) {
		return http.StatusUnauthorized, `{"error":"invalid_token"}`, ""
	}
	return http.StatusOK, fmt.Sprintf(`{"id":%q,"login":"shop"}`, held.seller), ""
}

// accuse notes whom an untrue refusal was about.
func (m *market) accuse(form url.Values, name string) {
	if token := form.Get("refresh_token"); token != "" && name == "refused" {
		m.world.excuseHolder(token, "the marketplace said "+name)
		return
	}
	m.world.excuseAll("the marketplace said " + name)
}

// manifest is the Marketplace that describes the market truly.
func (m *market) manifest() *v1alpha1.Marketplace {
	object := &v1alpha1.Marketplace{}
	object.Name = m.name
	spec := &object.Spec
	spec.DisplayName = strings.ToUpper(m.name)
	spec.Environments = []v1alpha1.Environment{{Name: "Production"}}
	spec.Grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials}
	address := func(path string) v1alpha1.URLTemplate {
		return v1alpha1.URLTemplate("https://" + m.name + ".example" + path)
	}
	spec.Endpoints = v1alpha1.Endpoints{Authorization: address("/authorize"), DeviceAuthorization: address("/device"), Token: address("/token"), Revocation: address("/revoke")}
	spec.TokenRequest.ClientAuthentication = v1alpha1.ClientAuthenticationBody
	spec.Scopes.Default = []v1alpha1.Scope{"sell"}
	spec.TokenResponse.Errors = []v1alpha1.ErrorMeaning{{Code: "locked", Reason: v1alpha1.ReasonAccountLocked}}
	spec.TokenRequest.Encoding = v1alpha1.EncodingForm
	spec.AccessToken.Lifetime = v1alpha1.DurationOf(m.life)
	spec.RefreshToken.Rotation = v1alpha1.RotationStatic
	if m.rotating {
		spec.RefreshToken.Rotation = v1alpha1.RotationRotating
		spec.RefreshToken.ReuseGrace = v1alpha1.DurationOf(m.grace)
	}
	spec.RefreshToken.Expiry = v1alpha1.ExpiryNone
	if m.consentLife > 0 {
		spec.RefreshToken.Expiry, spec.RefreshToken.Lifetime = v1alpha1.ExpiryFixed, v1alpha1.DurationOf(m.consentLife)
		if m.sliding {
			spec.RefreshToken.Expiry = v1alpha1.ExpirySliding
		}
	}
	spec.Renewal.Before = v1alpha1.DurationOf(min(time.Hour, m.life/4))
	spec.Limits = v1alpha1.Limits{RequestsPerSecond: 5, Concurrency: 4}
	switch m.tells {
	case "answer":
		spec.TokenResponse.Fields.AccountID = "user_id"
		spec.Identity.Request = &v1alpha1.IdentityRequest{URL: address("/me")}
	case "idtoken":
		spec.Endpoints.Issuer = address("")
		spec.Scopes.Default = []v1alpha1.Scope{"openid"}
		spec.Identity.IDTokenClaim = "sub"
		spec.Identity.Request = &v1alpha1.IdentityRequest{URL: address("/me")}
	case "request":
		spec.Identity.Request = &v1alpha1.IdentityRequest{URL: address("/me"), IDPath: "{.id}", LoginPath: "{.login}"}
	}
	return object
}

// faultNames are the names of faults in their order.
var faultNames = func() []string {
	var names []string
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()
