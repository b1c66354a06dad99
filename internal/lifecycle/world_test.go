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
	// stored is the custody that survives a restart, published the access token that workloads read, and backup a copy of both.
	stored    custody.Custody
	published string
	backup    copied
	// memory is lost in a restart.
	memory  memory
	tickets int
	// restored are refresh tokens that were put back, or may have been used elsewhere; atOwnRisk tells that a person has asked since the account
	// said so to try all the same.
	restored  map[string]bool
	atOwnRisk bool
	// given is the last access token that a living process was given for the account, and stored.
	given string
	// sent is when each refresh token was sent last.
	sent map[string]time.Time
	// demanded is the end of a wait that the marketplace demanded, and refused tells that it has refused a request for good since the last tokens.
	demanded time.Time
	refused  bool
	// ended is the last device code of which the marketplace has said that it will not become tokens.
	ended string
	// next is when the account is looked at again, as the last look had it; zero for never.
	next time.Time
	// tried are the actions of the look under way.
	tried lifecycle.Actions
	// looks counts looks, recalled the ones at which a process that had just begun would have recalled the Secrets of users.
	looks, recalled int
	// tampered tells that a step put other contents in the grant Secret, and crashed that a process ended in it.
	tampered, crashed bool
	// said is what was done since it was read last, for scripts.
	said []string
	// broken is what must not have happened; empty while nothing has.
	broken string
}

// copied is a backup of the Secrets that the operator writes; refused tells that the marketplace had refused a request for good by then.
type copied struct {
	custody   custody.Custody
	published string
	refused   bool
}

// memory is known to one process alone: the tokens that a device code has become, when to poll next, how many requests for or about a code have failed
// in a row, and whether the code may have become tokens.
type memory struct {
	approved   *lifecycle.Consent
	pollAt     time.Time
	failures   int32
	unanswered string
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
	w := &world{account: account, platform: platform, now: noon, holder: "process-1", market: market{rotating: rotating, grace: grace, seller: "44130512"},
		restored: map[string]bool{}, sent: map[string]time.Time{}}
	w.request = facts.Request{
		Grant: grant, Platform: platform, Key: "key", Application: tokensecret.Application{ClientID: "app", ClientSecret: "CS1"},
		Inputs: custody.Inputs{Spec: "1", Application: "app@1"},
	}
	switch grant {
	case v1alpha1.GrantRefreshToken:
		w.supply(func() { w.request.Imported = tokensecret.Import{RefreshToken: w.market.grant(w.market.seller)} })
	case v1alpha1.GrantPassword:
		w.supply(func() { w.request.Login = tokensecret.Login{Username: "shop", Password: password} })
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
		AttemptTimeout: 80 * time.Second, NewKey: make([]byte, 32), Link: "https://portal" + signin.LinkPrefix + "shop/main", Approved: w.memory.approved != nil, PollAt: w.memory.pollAt,
	}
	if code := w.stored.SignIn.Device; code != nil {
		f.CodeUsed = w.memory.unanswered == code.Code
	}
	if shown := w.account.Status.SignIn; shown != nil {
		f.ShownTicket = signin.Hash(signin.TicketOf(shown.URL))
	}
	if was := w.stored.Witness; was != (custody.Witness{}) && was != w.witness() {
		f.Custody.Restored = &custody.Restored{Moved: true}
	}
	if seen := w.account.Status.AccessToken; seen != nil && seen.Serial > f.Custody.Serial {
		f.Custody = f.Custody.Outdated(seen.Serial)
	}
	return f
}

// witness names the account and the cluster that a custody is written for.
func (w *world) witness() custody.Witness {
	return custody.Witness{Account: w.account.UID, Cluster: "cluster-1"}
}

// putBack has the refresh tokens in the hands of the operator be ones that may be spent.
func (w *world) putBack() {
	w.atOwnRisk, w.tampered = false, true
	w.restored[w.stored.RefreshToken], w.restored[w.request.Imported.RefreshToken] = true, true
}

// askToRenew is a person who asks for a renewal, after they have read what the account says.
func (w *world) askToRenew(value string) {
	w.account.Annotations[v1alpha1.AnnotationRenew] = value
	if restored := w.stored.Restored; restored != nil && restored.Told {
		w.atOwnRisk = true
	}
}

// restart is another process in place of this one.
func (w *world) restart() {
	w.restarts++
	w.holder = fmt.Sprintf("process-%d", w.restarts+1)
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
			w.memory = memory{pollAt: w.now.Add(pollEvery)}
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
		noted.Witness = w.witness()
		w.stored, change.Store = noted, &noted
	}
	f, told, _ := change.Stored(f, w.storedOr(f, change))
	f.Approved, f.PollAt = w.memory.approved != nil, w.memory.pollAt
	if told.Obtained {
		w.refused, w.given = false, f.Custody.Tokens.AccessToken
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
		sending := lifecycle.BeforeSending(f)
		if f, o = w.apply(f, o, sending.Change); sending.Forbidden {
			return f, o, true
		}
		if sending.Entry != nil && dies(journaled) {
			return f, o, false
		}
		got, failure := w.ask(f)
		if dies(answered) {
			w.market.lose(f.RefreshToken())
			return f, o, false
		}
		w.noteAnswer(failure)
		change = lifecycle.AfterIssued(f, got)
		if failure != nil {
			change = lifecycle.AfterFailure(f, failure, true)
		}
	case lifecycle.Identify:
		identity, failure := w.market.identify(lifecycle.TokenToIdentify(f))
		change = lifecycle.AfterIdentity(f, identity, failure)
	case lifecycle.VerifyIDToken:
		change = lifecycle.AfterIDToken(f, nil)
	case lifecycle.DecideCandidate:
		change = lifecycle.DecideOnCandidate(f)
	case lifecycle.UseAside:
		change = lifecycle.UseGrantAside(f)
	case lifecycle.CountRestFromNow:
		change = lifecycle.CountRest(f)
	case lifecycle.StoreApproval:
		change = lifecycle.AfterConsent(f, *w.memory.approved)
		w.memory = memory{}
	case lifecycle.StartCode:
		kept, ask := lifecycle.BeforeCode(f)
		if !ask {
			change = lifecycle.Keep(kept)
			break
		}
		if failure := w.market.answersNext(); failure != nil {
			w.noteAnswer(failure)
			w.memory.failures++
			w.memory.pollAt = w.now.Add(lifecycle.NextCodeAfter(f, w.memory.failures, failure))
			change = lifecycle.AfterNoCode(f, failure)
			break
		}
		change = lifecycle.AfterCode(f, w.market.code(w.now))
		w.memory.failures, w.memory.pollAt = 0, w.now.Add(pollEvery)
	case lifecycle.Poll:
		change = w.poll(&f)
		if w.memory.approved != nil && dies(answered) {
			return f, o, false
		}
	case lifecycle.OfferLink:
		w.tickets++
		ticket := fmt.Sprintf("ticket-%d", w.tickets)
		offer, end := lifecycle.AfterOffer(f, ticket, signin.TicketLife, f.SignInRequested())
		f, o = w.apply(f, o, offer)
		o = o.With(lifecycle.Outcome{Invitation: invitation.Link(&f, f.Link+"?ticket="+ticket, end)})
	case lifecycle.Publish:
		w.publish(f.Custody.Tokens.AccessToken)
	case lifecycle.Test:
		identity, failure := w.market.identify(f.Custody.Tokens.AccessToken)
		change = lifecycle.AfterTest(f, identity, failure)
	case lifecycle.RecordRefusedToken:
		change = lifecycle.AfterRefusedToken(f)
	}
	f, o = w.apply(f, o, change)
	return f, o, !dies(stored)
}

// ask asks the marketplace for tokens.
func (w *world) ask(f facts.Facts) (lifecycle.Issued, error) {
	if !f.Request.RenewsByRefreshToken() {
		return w.market.login(f, w.now)
	}
	token := f.RefreshToken()
	w.mayBeSent(f, token)
	w.sent[token] = w.now
	return w.market.refresh(token, w.now)
}

// noteAnswer notes the marketplace's answer to a request.
func (w *world) noteAnswer(failure error) {
	if failure == nil {
		w.demanded = time.Time{}
		return
	}
	said := answer.AsError(failure)
	w.refused = w.refused || !said.Passes()
	w.demanded = w.now.Add(said.RetryAfter)
}

// pollEvery is how long a process waits between two polls of a device code.
const pollEvery = 5 * time.Second

// poll asks whether a person has approved the device code, as the controller does.
func (w *world) poll(f *facts.Facts) lifecycle.Change {
	code := f.Custody.SignIn.Device
	got, failure := w.market.poll(code.Code, w.now)
	wait := pollEvery
	switch said := answer.AsError(failure); {
	case failure == nil:
		w.memory.approved = &lifecycle.Consent{Issued: got, Asked: code.Asked}
	case !said.Passes():
		w.ended = code.Code
		return lifecycle.AfterEndedCode(*f, said)
	case said.Kind == answer.Pending:
		w.memory.failures, w.memory.unanswered = 0, ""
	default:
		w.noteAnswer(failure)
		w.memory.failures++
		wait = max(min(pollEvery<<min(w.memory.failures, 6), time.Minute), said.RetryAfter)
		if said.OutcomeUnknown {
			w.memory.unanswered = code.Code
		}
	}
	w.memory.pollAt = w.now.Add(wait)
	f.Approved, f.PollAt, f.CodeUsed = w.memory.approved != nil, w.memory.pollAt, w.memory.unanswered == code.Code
	return lifecycle.Change{}
}

// signIn is a person who signs in as a seller, whose browser brings the code to another process than the controller's.
func (w *world) signIn(seller string) {
	f := w.facts()
	f.Visiting, f.RetryTicket = true, "again"
	issued := w.market.issue(w.market.grant(seller), w.now)
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
func (w *world) approve() { w.market.codes[w.stored.SignIn.Device.Code] = codeApproved }

// tell writes the status, and holds it against the promises.
func (w *world) tell(f facts.Facts, outcome lifecycle.Outcome) {
	outcome.ServedUntil = w.market.access[w.published].ends
	before := &w.account.Status
	report := conditions.Report(conditions.Look{Facts: f, Outcome: outcome})
	w.account = report.Account
	w.next = report.Next(time.Time{})
	w.isSilent(before, report)
	w.keepsPromises(f)
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

// password is the one that the marketplace accepts.
const password = "PW1"

// market is a marketplace: which refresh tokens it honours, and how it answers next.
type market struct {
	rotating bool
	grace    time.Duration
	seller   string
	serial   int
	// grants are the consents by each of their refresh tokens, spent when a token was first used, and access the access tokens.
	grants map[string]*grant
	spent  map[string]time.Time
	access map[string]access
	// codes are device codes.
	codes map[string]codeState
	// next is how the next request ends; nil for tokens. acts tells whether the marketplace acts upon it all the same.
	next error
	acts bool
}

// grant is a consent of a seller, as the marketplace knows it.
type grant struct {
	number int
	seller string
	// current is the refresh token that is honoured; empty once the grant has ended.
	current string
	// lost tells that the answer with the current one did not arrive.
	lost bool
}

// access is an access token, as the marketplace knows it.
type access struct {
	number int
	seller string
	ends   time.Time
}

// codeState is the state of a device code at the marketplace. A code that nobody has used has none.
type codeState string

const (
	codeApproved codeState = "approved"
	codeDenied   codeState = "denied"
	codeEnded    codeState = "ended"
)

// grant makes the first refresh token of a consent.
func (m *market) grant(seller string) string {
	return m.hand(&grant{number: m.serial, seller: seller})
}

// hand makes the next refresh token of a consent.
func (m *market) hand(of *grant) string {
	m.serial++
	of.current = fmt.Sprintf("RT%d", m.serial)
	if m.grants == nil {
		m.grants, m.spent = map[string]*grant{}, map[string]time.Time{}
	}
	m.grants[of.current] = of
	return of.current
}

// lose has the answer with the successor of a refresh token not arrive.
func (m *market) lose(token string) {
	if of := m.grants[token]; of != nil && of.current != token {
		of.lost = true
	}
}

// honours tells that a refresh token works, whenever it is sent.
func (m *market) honours(token string) bool {
	of := m.grants[token]
	return of != nil && of.current == token
}

func (m *market) wasSpent(token string) (bool, time.Time) {
	at, spent := m.spent[token]
	return spent, at
}

// answersNext is how the next request ends, but for tokens.
func (m *market) answersNext() error {
	failure := m.next
	m.next = nil
	return failure
}

func (m *market) issue(refreshToken string, now time.Time) lifecycle.Issued {
	m.serial++
	if m.access == nil {
		m.access = map[string]access{}
	}
	issued := lifecycle.Issued{Tokens: answer.Tokens{
		AccessToken: fmt.Sprintf("AT%d", m.serial), RefreshToken: refreshToken, IssuedAt: now, ExpiresAt: now.Add(12 * time.Hour), AccessTokenExpiresAt: now.Add(12 * time.Hour),
	}}
	seller := m.seller
	if of := m.grants[refreshToken]; of != nil {
		seller = of.seller
	}
	m.access[issued.AccessToken] = access{m.serial, seller, issued.ExpiresAt}
	return issued
}

// refresh honours the current refresh token of a grant, and a spent one within the grace. A spent one after that ends the grant (RFC 9700 section 4.14.2).
func (m *market) refresh(token string, now time.Time) (lifecycle.Issued, error) {
	failure := m.answersNext()
	if failure != nil && !m.acts {
		return lifecycle.Issued{}, failure
	}
	spent, at := m.wasSpent(token)
	of := m.grants[token]
	switch {
	case token == of.current, m.rotating && spent && now.Sub(at) < m.grace && of.current != "":
	default:
		of.current = ""
		return lifecycle.Issued{}, &answer.Error{Kind: answer.GrantRejected, Code: "invalid_grant", Status: 400, Message: "invalid_grant"}
	}
	next := token
	if m.rotating {
		if _, known := m.spent[token]; !known {
			m.spent[token] = now
		}
		next = m.hand(of)
		of.lost = failure != nil
	}
	if failure != nil {
		return lifecycle.Issued{}, failure
	}
	return m.issue(next, now), nil
}

func (m *market) login(f facts.Facts, now time.Time) (lifecycle.Issued, error) {
	failure := m.answersNext()
	switch {
	case failure != nil:
		return lifecycle.Issued{}, failure
	case f.Request.Login.Password != password && f.Request.Grant == v1alpha1.GrantPassword:
		return lifecycle.Issued{}, &answer.Error{Kind: answer.PasswordRejected, Code: "invalid_grant", Status: 400, Message: "invalid_grant"}
	}
	return m.issue("", now), nil
}

// code makes a device code.
func (m *market) code(now time.Time) answer.DeviceCode {
	m.serial++
	if m.codes == nil {
		m.codes = map[string]codeState{}
	}
	return answer.DeviceCode{Code: fmt.Sprintf("DC%d", m.serial), UserCode: "AB-CD", URL: "https://allegro.example/device", ExpiresAt: now.Add(time.Hour), Interval: pollEvery}
}

// poll answers with tokens once, after a person has approved the code. A code is not refused as a refresh token is: it has ended.
func (m *market) poll(code string, now time.Time) (lifecycle.Issued, error) {
	failure := m.answersNext()
	ended := &answer.Error{Kind: answer.CodeExpired, Code: "expired_token", Status: 400, Message: "expired_token"}
	if said := answer.AsError(failure); failure != nil && !m.acts {
		if said.Kind == answer.GrantRejected {
			m.codes[code] = codeEnded
			return lifecycle.Issued{}, ended
		}
		return lifecycle.Issued{}, failure
	}
	switch m.codes[code] {
	case codeApproved:
		m.codes[code] = codeEnded
		issued := m.issue(m.grant(m.seller), now)
		issued.Account = custody.Account{ID: m.seller, By: "answer"}
		return issued, failure
	case codeDenied:
		return lifecycle.Issued{}, &answer.Error{Kind: answer.ConsentDenied, Code: "access_denied", Status: 400, Message: "access_denied"}
	case codeEnded:
		return lifecycle.Issued{}, ended
	}
	if failure != nil {
		return lifecycle.Issued{}, failure
	}
	return lifecycle.Issued{}, &answer.Error{Kind: answer.Pending, Code: "authorization_pending", Status: 400, Message: "authorization_pending"}
}

func (m *market) identify(token string) (answer.Identity, error) {
	return answer.Identity{ID: m.access[token].seller, Login: "my-shop"}, nil
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
