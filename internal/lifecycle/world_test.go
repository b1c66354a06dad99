package lifecycle_test

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/recall"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// noon is when every world begins.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// world is one account with its marketplace, without an API server: what is stored is a variable, and time passes when told to.
type world struct {
	account  *v1alpha1.MarketplaceAccount
	platform *marketplace.Platform
	request  facts.Request
	market   market
	now      time.Time
	// holder names the process, which changes with each restart.
	holder   string
	restarts int
	// versions counts the versions of the Secret with the refresh token or the login that a user supplies.
	versions int
	// stored is the custody that survives a restart, published the access token that workloads read.
	stored    custody.Custody
	published string
	// approved is what a device code has become, in memory alone; pollAt is when to poll again.
	approved *lifecycle.Consent
	pollAt   time.Time
	tickets  int
	// atOwnRisk is a refresh token of a backup that a person had sent although it may be spent.
	atOwnRisk string
	// tried are the actions of the look under way.
	tried lifecycle.Actions
	// looks counts looks, recalled the ones at which a process that had just begun would have recalled the Secrets of users.
	looks, recalled int
	// said is what was done since it was read last, for scripts.
	said []string
	// broken is what must not have happened; empty while nothing has.
	broken string
}

// newWorld begins with an account of a grant at a platform that rotates refresh tokens, or not, and honours spent ones for a while.
func newWorld(grant v1alpha1.GrantType, rotating bool, grace time.Duration) *world {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1", Generation: 1}}
	account.CreationTimestamp = metav1.NewTime(noon)
	account.Spec.Grant.Type = grant
	account.Spec.Environment = "Production"
	account.Spec.MarketplaceRef.Name = "allegro"
	account.Annotations = map[string]string{}
	object := &v1alpha1.Marketplace{ObjectMeta: metav1.ObjectMeta{Name: "allegro"}}
	object.Spec.DisplayName = "Allegro"
	object.Spec.Environments = []v1alpha1.Environment{{Name: "Production"}}
	object.Spec.Grants = []v1alpha1.GrantType{grant}
	object.Spec.Endpoints.Token = "https://allegro.example/token"
	object.Spec.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://allegro.example/me", IDPath: "{.id}"}
	platform, err := marketplace.Resolve(object, account)
	if err != nil {
		panic(err)
	}
	platform.Rotating, platform.ReuseGrace, platform.TokenLifetime, platform.RenewBefore = rotating, grace, 12*time.Hour, time.Hour
	w := &world{account: account, platform: platform, now: noon, holder: "process-1", market: market{rotating: rotating, grace: grace, seller: "44130512"}}
	w.request = facts.Request{
		Grant: grant, Platform: platform, Key: "key", Application: tokensecret.Application{ClientID: "app", ClientSecret: "secret"},
		Inputs: custody.Inputs{Spec: "1", Application: "app@1"},
	}
	switch grant {
	case v1alpha1.GrantRefreshToken:
		w.supply(func() { w.request.Imported = tokensecret.Import{RefreshToken: w.market.grant(noon)} })
	case v1alpha1.GrantPassword:
		w.supply(func() { w.request.Login = tokensecret.Login{Username: "shop", Password: "correct"} })
	}
	return w
}

// supply is a user who writes another version of a Secret.
func (w *world) supply(write func()) {
	write()
	w.versions++
	w.request.Inputs.Credentials = fmt.Sprintf("supplied@%d", w.versions)
}

// facts are what a look begins with.
func (w *world) facts() facts.Facts {
	f := facts.Facts{
		Account: w.account, Custody: w.stored, Request: w.request, Now: w.now, Holder: w.holder, CallTimeout: 30 * time.Second,
		AttemptTimeout: 80 * time.Second, NewKey: make([]byte, 32), Link: "https://portal" + signin.LinkPrefix + "shop/main", Approved: w.approved != nil, PollAt: w.pollAt,
	}
	if shown := w.account.Status.SignIn; shown != nil {
		f.ShownTicket = signin.Hash(signin.TicketOf(shown.URL))
	}
	if seen := w.account.Status.AccessToken; seen != nil && seen.Serial > f.Custody.Serial {
		f.Custody = f.Custody.Outdated(seen.Serial)
	}
	return f
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

// moment is where a process may end: after the journal was written, after the marketplace has answered, and after the answer was stored.
type moment string

const (
	journaled moment = "journaled"
	answered  moment = "answered"
	stored    moment = "stored"
)

// look does what is due until nothing is. It ends early at a moment that dies accepts, as a crash does.
func (w *world) look(dies func(moment) bool) {
	f, outcome := w.facts(), lifecycle.Outcome{}
	if w.looks++; w.looks%3 == 0 { // it takes as long as the rest
		w.recalls(f)
	}
	w.tried = 0
	for n := 0; ; n++ {
		if n > 20 {
			w.breaks("a look does not come to an end: %s", strings.Join(w.said, "; "))
			return
		}
		action := lifecycle.Next(&f, w.tried)
		if action == lifecycle.Wait {
			break
		}
		w.tried = w.tried.With(action)
		w.say("%s", action)
		var alive bool
		if f, outcome, alive = w.do(f, outcome, action, dies); !alive {
			w.say("the process ends")
			w.approved = nil
			return
		}
	}
	w.tell(f, outcome.With(lifecycle.Conclusion(&f)))
}

// recalls tells whether a process that starts now, and recalls the Secrets of users where it can, does and says the same as one that reads them.
func (w *world) recalls(read facts.Facts) {
	seen, now := recall.Of(read.Custody, read.Request.Inputs), read.Request.Inputs
	if seen.Inputs != now {
		return
	}
	recalled := read
	recalled.Request.Recalled = true
	recalled.Request.Application = recall.Application(seen)
	switch read.Request.Grant {
	case v1alpha1.GrantPassword:
		recalled.Request.Login = recall.Login(seen)
	case v1alpha1.GrantRefreshToken:
		recalled.Request.Imported = recall.Import(read.Custody)
	}
	w.recalled++
	tried, asks := lifecycle.Actions(0), lifecycle.AllBut(lifecycle.Publish, lifecycle.FindDuplicate, lifecycle.PublishSignIn)
	for next := lifecycle.Publish; next != lifecycle.Wait; tried = tried.With(next) {
		next = lifecycle.Next(&recalled, tried)
		is := lifecycle.Next(&read, tried)
		switch {
		case next == lifecycle.ReadSecrets && is != lifecycle.Wait && asks.Has(is):
			return
		case next != is:
			w.breaks("%s is next with the Secrets of users recalled, and %s with these read", next, is)
			return
		}
	}
	status := func(f facts.Facts) v1alpha1.MarketplaceAccountStatus {
		return conditions.Report(conditions.Look{Facts: f, Outcome: lifecycle.Conclusion(&f)}).Account.Status
	}
	if was, is := status(recalled), status(read); !reflect.DeepEqual(was, is) {
		w.breaks("with the Secrets of users recalled the status is not that with these read:\n%s", cmp.Diff(is, was))
	}
}

// apply stores a change, and returns what is known then.
func (w *world) apply(f facts.Facts, outcome lifecycle.Outcome, change lifecycle.Change) (facts.Facts, lifecycle.Outcome) {
	if change.Store != nil {
		if change.Store.Serial < w.stored.Serial {
			w.breaks("the serial went back from %d to %d", w.stored.Serial, change.Store.Serial)
		}
		noted := recall.Note(f, *change.Store)
		w.stored, change.Store = noted, &noted
	}
	f, told, _ := change.Stored(f, w.storedOr(f, change))
	f.Approved, f.PollAt = w.approved != nil, w.pollAt
	if told.Obtained {
		w.tried = w.tried.Without(lifecycle.Publish)
	}
	return f, outcome.With(told)
}

func (w *world) storedOr(f facts.Facts, change lifecycle.Change) custody.Custody {
	if change.Store == nil {
		return f.Custody
	}
	return *change.Store
}

// do does one thing, as the controller does.
func (w *world) do(f facts.Facts, o lifecycle.Outcome, action lifecycle.Action, dies func(moment) bool) (facts.Facts, lifecycle.Outcome, bool) {
	var change lifecycle.Change
	switch action {
	case lifecycle.Renew:
		if f.FromBackup() && f.RenewalRequested() { // a person has read that the token may be spent, and asks all the same
			w.atOwnRisk = f.RefreshToken()
		}
		sending := lifecycle.BeforeSending(f)
		if f, o = w.apply(f, o, sending.Change); sending.Forbidden {
			return f, o, true
		}
		if sending.Entry != nil && dies(journaled) {
			return f, o, false
		}
		got, failure := w.ask(f)
		if dies(answered) {
			return f, o, false
		}
		change = lifecycle.AfterIssued(f, got)
		if failure != nil {
			change = lifecycle.AfterFailure(f, failure, true)
		}
	case lifecycle.Identify:
		identity, failure := w.market.identify(lifecycle.TokenToIdentify(f))
		change = lifecycle.AfterIdentity(f, identity, failure)
	case lifecycle.VerifyIDToken:
		f, change = lifecycle.AfterIDToken(f, nil)
	case lifecycle.DecideCandidate:
		change = lifecycle.DecideOnCandidate(f)
	case lifecycle.UseAside:
		change = lifecycle.UseGrantAside(f)
	case lifecycle.CountRestFromNow:
		change = lifecycle.CountRest(f)
	case lifecycle.StoreApproval:
		change = lifecycle.AfterConsent(f, *w.approved)
		w.approved, w.pollAt = nil, time.Time{}
	case lifecycle.StartCode:
		kept, ask := lifecycle.BeforeCode(f)
		if !ask {
			change = lifecycle.Keep(kept)
			break
		}
		change = lifecycle.AfterCode(f, answer.DeviceCode{Code: "device", UserCode: "AB-CD", URL: "https://allegro.example/device", ExpiresAt: w.now.Add(time.Hour), Interval: 5 * time.Second})
		w.pollAt = w.now.Add(5 * time.Second)
	case lifecycle.Poll:
		w.pollAt = w.now.Add(5 * time.Second)
		f.PollAt = w.pollAt
	case lifecycle.OfferLink:
		w.tickets++
		ticket := fmt.Sprintf("ticket-%d", w.tickets)
		offer, end := lifecycle.AfterOffer(f, ticket, signin.TicketLife, f.SignInRequested())
		f, o = w.apply(f, o, offer)
		o = o.With(lifecycle.Outcome{Invitation: invitation.Link(&f, f.Link+"?ticket="+ticket, end)})
	case lifecycle.Publish:
		w.published = f.Custody.Tokens.AccessToken
		if f.Custody.Tokens.AccessToken != w.stored.Tokens.AccessToken {
			w.breaks("a token was published that is not stored")
		}
	case lifecycle.Test:
		identity, failure := w.market.identify(f.Custody.Tokens.AccessToken)
		change = lifecycle.AfterTest(f, identity, failure)
	case lifecycle.RecordRefusedToken:
		change = lifecycle.AfterRefusedToken(f)
	}
	f, o = w.apply(f, o, change)
	return f, o, !dies(stored)
}

// ask asks the marketplace for tokens, and holds what is sent against what must not be.
func (w *world) ask(f facts.Facts) (lifecycle.Issued, error) {
	if !f.Request.RenewsByRefreshToken() {
		return w.market.login(f, w.now)
	}
	token := f.RefreshToken()
	if spent, at := w.market.wasSpent(token); spent && token != w.atOwnRisk && w.now.Sub(at) >= w.market.grace && f.Journal().LastResorts == 0 {
		w.breaks("%s was sent again %s after it was spent, and not as a last resort", token, w.now.Sub(at))
	}
	return w.market.refresh(token, w.now)
}

// signIn is a person who signs in as a seller, whose browser brings the code to another process than the controller's.
func (w *world) signIn(seller string) {
	f := w.facts()
	f.Visiting, f.RetryTicket = true, "again"
	issued := w.market.issue(w.market.grant(w.now), w.now)
	issued.Account = custody.Account{ID: seller, By: "answer"}
	f, _ = w.apply(f, lifecycle.Outcome{}, lifecycle.AfterConsent(f, lifecycle.Consent{Issued: issued, Asked: []string{}}))
	for tried := lifecycle.AllBut(lifecycle.DecideCandidate, lifecycle.Identify); ; {
		action := lifecycle.Next(&f, tried)
		if action == lifecycle.Wait {
			return
		}
		tried = tried.With(action)
		f, _, _ = w.do(f, lifecycle.Outcome{}, action, func(moment) bool { return false })
	}
}

// approve is a person who approves the device code: the next poll brings tokens.
func (w *world) approve() {
	issued := w.market.issue(w.market.grant(w.now), w.now)
	issued.Account = custody.Account{ID: w.market.seller, By: "answer"}
	w.approved = &lifecycle.Consent{Issued: issued, Asked: w.stored.SignIn.Device.Asked}
}

// tell writes the status.
func (w *world) tell(f facts.Facts, outcome lifecycle.Outcome) {
	if w.published != "" && f.Custody.Tokens != nil && outcome.ServedUntil.IsZero() {
		outcome.ServedUntil = f.Custody.Tokens.ExpiresAt
	}
	w.account = conditions.Report(conditions.Look{Facts: f, Outcome: outcome}).Account
}

// condition is a condition of the status, in a few words.
func (w *world) condition(name string) string {
	for _, condition := range w.account.Status.Conditions {
		if condition.Type == name {
			return string(condition.Status) + " " + condition.Reason
		}
	}
	return "absent"
}

// market is a marketplace: which refresh tokens it honours, and how it answers next.
type market struct {
	rotating bool
	grace    time.Duration
	seller   string
	serial   int
	current  string
	spent    map[string]time.Time
	// next is how the next request ends; nil for tokens. acts tells whether the marketplace acts upon it all the same.
	next error
	acts bool
}

// grant makes a refresh token, as a consent does.
func (m *market) grant(time.Time) string {
	m.serial++
	m.current = fmt.Sprintf("RT%d", m.serial)
	return m.current
}

func (m *market) wasSpent(token string) (bool, time.Time) {
	at, spent := m.spent[token]
	return spent, at
}

func (m *market) issue(refreshToken string, now time.Time) lifecycle.Issued {
	m.serial++
	return lifecycle.Issued{Tokens: answer.Tokens{
		AccessToken: fmt.Sprintf("AT%d", m.serial), RefreshToken: refreshToken, IssuedAt: now, ExpiresAt: now.Add(12 * time.Hour), AccessTokenExpiresAt: now.Add(12 * time.Hour),
	}}
}

// refresh honours the current refresh token, and a spent one within the grace. A spent one after that ends the grant (RFC 9700 section 4.14.2).
func (m *market) refresh(token string, now time.Time) (lifecycle.Issued, error) {
	failure := m.next
	m.next = nil
	if failure != nil && !m.acts {
		return lifecycle.Issued{}, failure
	}
	spent, at := m.wasSpent(token)
	switch {
	case token == m.current, m.rotating && spent && now.Sub(at) < m.grace && m.current != "":
	default:
		m.current = ""
		return lifecycle.Issued{}, &answer.Error{Kind: answer.GrantRejected, Code: "invalid_grant", Status: 400, Message: "invalid_grant"}
	}
	next := token
	if m.rotating {
		if m.spent == nil {
			m.spent = map[string]time.Time{}
		}
		if _, known := m.spent[token]; !known {
			m.spent[token] = now
		}
		next = m.grant(now)
	}
	if failure != nil {
		return lifecycle.Issued{}, failure
	}
	return m.issue(next, now), nil
}

func (m *market) login(f facts.Facts, now time.Time) (lifecycle.Issued, error) {
	failure := m.next
	m.next = nil
	switch {
	case failure != nil:
		return lifecycle.Issued{}, failure
	case f.Request.Login.Password != "correct" && f.Request.Grant == v1alpha1.GrantPassword:
		return lifecycle.Issued{}, &answer.Error{Kind: answer.PasswordRejected, Code: "invalid_grant", Status: 400, Message: "invalid_grant"}
	}
	return m.issue("", now), nil
}

func (m *market) identify(string) (answer.Identity, error) {
	return answer.Identity{ID: m.seller, Login: "my-shop"}, nil
}

// failures are how a request may end, by the names that scripts use; true tells that the marketplace has acted all the same.
var failures = map[string]struct {
	failure *answer.Error
	acts    bool
}{
	"unavailable": {&answer.Error{Kind: answer.Unavailable, Status: 503, Message: "HTTP 503"}, false},
	"throttled":   {&answer.Error{Kind: answer.Throttled, Status: 429, RetryAfter: time.Minute, Message: "HTTP 429"}, false},
	"lost":        {&answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true, Message: "the answer was lost"}, true},
	"unsent":      {&answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true, Message: "the answer was lost"}, false},
	"refused":     {&answer.Error{Kind: answer.GrantRejected, Code: "invalid_grant", Status: 400, Message: "invalid_grant"}, false},
	"application": {&answer.Error{Kind: answer.ApplicationRejected, Code: "invalid_client", Status: 401, Message: "invalid_client"}, false},
	"scope":       {&answer.Error{Kind: answer.ScopeRejected, Code: "invalid_scope", Status: 400, Message: "invalid_scope"}, false},
}
