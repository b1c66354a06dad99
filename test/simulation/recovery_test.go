package simulation_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// recovers ends all faults, and looks at what becomes of each account: first without anybody's help, then with people who do what its
// conditions ask for.
func (w *world) recovers() {
	w.note("> all faults end")
	w.refusals, w.restartAt = nil, nil
	w.leaveOne(step{})
	if w.leader() == nil {
		w.start()
	}
	if w.noPortal {
		w.do(parseStep("portal on"))
	}
	p := w.leader()
	p.crash, p.stall, p.lagUntil = nil, nil, time.Time{}
	longest := time.Duration(0)
	for _, m := range w.markets {
		m.ahead, m.fewer, m.takes = 0, false, []string{clientSecret}
		w.do(parseStep("marketplace " + m.name + " back"))
		m.next, m.outage, m.identityDown, m.keysDown = nil, "", time.Time{}, time.Time{}
		longest = max(longest, m.life)
	}
	if w.clockOffset > 0 || w.clockOffset != 0 && w.issuers() {
		w.do(parseStep(fmt.Sprintf("clock %s", -w.clockOffset)))
	}
	w.do(parseStep("application right"))
	if login := w.secret("login"); login == nil || login.Data[v1alpha1.PasswordKeyPassword] == nil {
		w.do(parseStep("password right"))
	}
	for _, s := range w.shops {
		w.do(parseStep("policy " + s.name + " Automatic"))
	}
	w.calm()
	w.run(time.Now().Add(longest + 3*time.Hour))
	w.withoutHelp()
	for round := 0; w.broken == "" && round < 12; round++ {
		if w.allReady() {
			w.staysQuiet()
			return
		}
		w.help(round)
		w.run(time.Now().Add(2 * time.Hour))
	}
	for _, s := range w.shops {
		if w.broken == "" && !w.isReady(s) {
			w.breaks("people did what they could, and %s is not Ready in the end: %s", s.name, w.conditions(s))
		}
	}
}

func (w *world) isReady(s *shop) bool {
	return w.condition(s, v1alpha1.ConditionReady) == "True TokenValid" && strings.HasPrefix(w.condition(s, v1alpha1.ConditionAuthenticated), "True")
}

func (w *world) allReady() bool {
	for _, s := range w.shops {
		if !w.isReady(s) {
			return false
		}
	}
	return true
}

// withoutHelp holds promises 1, 3 and 4.
func (w *world) withoutHelp() {
	for _, s := range w.shops {
		if w.broken != "" {
			return
		}
		if w.account(s) == nil {
			continue
		}
		ready := w.isReady(s)
		if !ready && len(s.excuses) == 0 && w.needsNobody(s) {
			w.breaks("%s is not Ready without help, and nothing happened that costs a grant: %s", s.name, w.conditions(s))
		}
		if !ready && w.couldBeReady(s) {
			w.breaks("%s holds a refresh token that is honoured, and is not Ready: %s", s.name, w.conditions(s))
		}
		w.holdsTheLatest(s)
		w.leavesNothing(s)
	}
	for _, p := range w.alive() {
		for token, c := range p.hand {
			if token == c.current && !c.ended && c.account != "" && w.broken == "" {
				w.breaks("a refresh token that %s was given is stored nowhere, of %s", p.name, c.account)
			}
		}
	}
}

// needsNobody tells that an account gets its first token without a person, or has got one, and that none of its answers were lost. What was not sent, by
// an operator that ended just before, cannot be told from a lost answer: a twin holds up the last resort of both.
func (w *world) needsNobody(s *shop) bool {
	m := w.markets[s.market]
	held := w.custody(s)
	if w.isHeldBack(s) {
		return false
	}
	switch s.grant {
	case v1alpha1.GrantPassword:
		return w.secret("login") != nil && string(w.secret("login").Data[v1alpha1.PasswordKeyPassword]) == password
	case v1alpha1.GrantClientCredentials:
		return true
	case v1alpha1.GrantRefreshToken:
		token := held.RefreshToken
		if token == "" {
			token = w.imported(s)
		}
		if brought := m.consents[w.imported(s)]; brought != nil && w.wasLost(m, brought) {
			return false
		}
		if held.ImportJournal != nil && held.ImportJournal.Lost {
			return false // it is unknown, and the grant in use goes on
		}
		c := m.consents[token]
		return c != nil && !w.wasLost(m, c) && (c.ends.IsZero() || time.Now().Before(c.ends))
	}
	c := m.consents[held.RefreshToken]
	return c != nil && !w.wasLost(m, c) && (c.ends.IsZero() || time.Now().Before(c.ends))
}

// wasLost tells that an answer of a grant was lost beyond help.
func (w *world) wasLost(m *market, c *consent) bool {
	return m.rotating && (c.lost || c.resorts > 0 || c.ended)
}

// couldBeReady tells that the refresh token in the custody is honoured by the marketplace, and nothing but the operator stands between it and a token.
func (w *world) couldBeReady(s *shop) bool {
	held, m := w.custody(s), w.markets[s.market]
	if s.grant == v1alpha1.GrantPassword || s.grant == v1alpha1.GrantClientCredentials || held.RefreshToken == "" || held.Restored != nil || held.Refused != nil || held.Aside != nil {
		return false
	}
	c, account := m.consents[held.RefreshToken], w.account(s)
	if c == nil || c.ended || c.current != held.RefreshToken || !c.ends.IsZero() && time.Now().After(c.ends) {
		return false
	}
	if s.grant == v1alpha1.GrantRefreshToken && w.imported(s) != held.Imported {
		return false
	}
	if w.isHeldBack(s) || held.Journal != nil && held.Journal.Lost && held.Tokens != nil && time.Now().Add(w.clockOffset).Before(held.Tokens.ExpiresAt) {
		return false // a last resort comes when the token ends
	}
	if expected := account.Spec.AccountID; expected != "" && held.Account.ID != "" && held.Account.ID != expected {
		return false // the last answer named another seller, whoever has consented
	}
	return account.Spec.AccountID == "" || account.Spec.AccountID == c.seller || m.tells == "nothing"
}

// isHeldBack tells that it is unknown whether the refresh token in use is spent, and that another account holds a grant of the same seller and application,
// which a last resort could end.
func (w *world) isHeldBack(s *shop) bool {
	held, account := w.custody(s), w.account(s)
	if held.Journal == nil || !held.Journal.Lost || account == nil {
		return false
	}
	expected := cmp.Or(account.Spec.AccountID, held.Account.ID)
	return expected != "" && slices.ContainsFunc(w.shops, func(other *shop) bool {
		twin := w.custody(other)
		return other != s && other.market == s.market && twin.RefreshToken != "" && twin.Account.ID == expected
	})
}

// holdsTheLatest tells whether an account that is in order publishes the tokens that the marketplace gave last for it.
func (w *world) holdsTheLatest(s *shop) {
	held, token := w.custody(s), w.secret(s.name+v1alpha1.TokenSecretSuffix)
	if !w.isReady(s) || w.broken != "" {
		return
	}
	if token == nil || held.Tokens == nil || string(token.Data[v1alpha1.TokenKeyAccessToken]) != held.Tokens.AccessToken {
		w.breaks("%s is Ready and publishes another token than it holds", s.name)
	}
}

// help takes the steps of people about an account that is not in order.
func (w *world) help(round int) {
	for _, s := range w.shops {
		if w.isReady(s) {
			continue
		}
		account := w.account(s)
		as := s.seller
		if account != nil && account.Spec.AccountID != "" {
			as = account.Spec.AccountID
		} else if held := w.custody(s).Account.ID; held != "" {
			as = held
		}
		if as == "" || s.grant == v1alpha1.GrantPassword {
			as = "seller-1"
		}
		s.seller = as
		switch {
		case account == nil:
			w.user(func() error { return w.api.create(w.newAccount(s, "")) })
		case strings.Contains(w.conditions(s), v1alpha1.ReasonSecretConflict):
			w.freeSecrets(s)
		case s.grant == v1alpha1.GrantRefreshToken:
			w.do(parseStep("import " + s.name))
		case s.grant == v1alpha1.GrantAuthorizationCode:
			w.do(parseStep(fmt.Sprintf("sign-in %s as=%s after=20s", s.name, as)))
		case s.grant == v1alpha1.GrantDeviceCode:
			if w.custody(s).SignIn.Device == nil {
				w.do(parseStep("ask " + s.name + " sign-in"))
				w.run(time.Now().Add(10 * time.Second))
			}
			w.do(parseStep(fmt.Sprintf("approve %s as=%s", s.name, as)))
		case s.grant == v1alpha1.GrantPassword:
			w.do(parseStep("expect " + s.name + " nobody"))
			w.do(parseStep("password right"))
			w.user(func() error {
				next := w.secret("login").DeepCopy()
				next.Annotations = map[string]string{v1alpha1.AnnotationRetry: fmt.Sprint(round)}
				return w.api.update(next)
			})
		}
		w.run(time.Now().Add(2 * time.Minute))
		if !w.isReady(s) {
			w.do(parseStep("ask " + s.name + " renew"))
		}
	}
}

// freeSecrets takes the ownerReferences of Secrets away that belong to a former account, as the condition says.
func (w *world) freeSecrets(s *shop) {
	for _, suffix := range []string{v1alpha1.GrantSecretSuffix, v1alpha1.TokenSecretSuffix} {
		w.user(func() error {
			held := w.secret(s.name + suffix)
			if held == nil {
				return nil
			}
			next := held.DeepCopy()
			next.OwnerReferences = nil
			return w.api.update(next)
		})
	}
}

// issuers tells that a marketplace gives ID tokens, which end by the operator's clock.
func (w *world) issuers() bool {
	for _, m := range w.markets {
		if m.tells == "idtoken" {
			return true
		}
	}
	return false
}

// leavesNothing tells whether there is work left, or an event to tell, about an account although all is well for hours.
func (w *world) leavesNothing(s *shop) {
	if w.broken != "" || w.clockOffset != 0 {
		return
	}
	held, account, m := w.custody(s), w.account(s), w.markets[s.market]
	if waits := held.Candidate; waits != nil && waits.Consent > held.Accepted && (waits.Unverified || waits.Account.ID != "" || m.tells != "nothing") {
		w.breaks("a sign-in of %s waits that could be decided", s.name)
	}
	if aside := held.Aside; aside != nil && aside.Account.ID != "" && aside.Account.ID == account.Spec.AccountID {
		w.breaks("a grant of %s is set aside that is the expected one", s.name)
	}
	if w.isReady(s) && m.tells == "request" && s.grant != v1alpha1.GrantClientCredentials && held.Account.ID == "" {
		w.breaks("%s is Ready, and nobody has asked whose it is", s.name)
	}
	switch reason := w.condition(s, v1alpha1.ConditionAuthenticated); reason {
	case "Unknown MarketplaceUnavailable", "Unknown RateLimited", "Unknown Renewing":
		if !w.loginInDoubt() {
			w.breaks("%s says %s although the marketplace has been there for hours: %s", s.name, reason, w.conditions(s))
		}
	}
	handled := account.Status.Handled
	if handled == nil {
		handled = &v1alpha1.HandledStatus{}
	}
	if renew := account.Annotations[v1alpha1.AnnotationRenew]; w.isReady(s) && renew != "" && renew != handled.Renew {
		w.breaks("a renewal of %s was asked for and not done", s.name)
	}
	if verify := account.Annotations[v1alpha1.AnnotationVerify]; w.isReady(s) && verify != "" && verify != handled.Verify {
		w.breaks("a test of %s was asked for and not done", s.name)
	}
	w.saysDuplicate(s)
}

// saysDuplicate tells whether a younger account of the same seller says so.
func (w *world) saysDuplicate(s *shop) {
	id := w.custody(s).Account.ID
	for _, other := range w.shops {
		older, younger := w.account(other), w.account(s)
		if other == s || id == "" || other.reference != s.reference || older == nil || w.custody(other).Account.ID != id || !w.isReady(s) || !w.isReady(other) {
			continue
		}
		told := meta.FindStatusCondition(younger.Status.Conditions, v1alpha1.ConditionAuthenticated) // by its message where its reason warns of something else besides
		if older.CreationTimestamp.Time.Before(younger.CreationTimestamp.Time) && !strings.Contains(told.Message, "holds tokens of the same account") {
			w.breaks("%s and %s hold tokens of one seller, and the younger does not say so", s.name, other.name)
		}
	}
}
