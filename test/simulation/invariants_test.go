package simulation_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// observe looks at each write.
func (w *world) observe(what change) {
	if gone, ok := what.before.(*v1alpha1.MarketplaceAccount); ok && what.after == nil {
		w.isRevoked(gone)
	}
	switch after := what.after.(type) {
	case *v1alpha1.MarketplaceAccount:
		before, _ := what.before.(*v1alpha1.MarketplaceAccount)
		w.observeStatus(after)
		w.saysAsDocumented(after)
		w.tellsWhatItHeard(before, after)
		w.tellsOfTests(before, after)
		w.noteEvents(before, after)
	case *corev1.Secret:
		name, grant := strings.CutSuffix(after.Name, v1alpha1.GrantSecretSuffix)
		if !grant {
			name, _ = strings.CutSuffix(after.Name, v1alpha1.TokenSecretSuffix)
		}
		s := w.shop(name)
		if s == nil || !isOwn(after) {
			return
		}
		if grant {
			w.observeGrant(s, after)
			return
		}
		w.observeToken(s, after)
	}
}

// observeStatus holds a status against the secrets that must not be shown.
func (w *world) observeStatus(account *v1alpha1.MarketplaceAccount) {
	text, err := json.Marshal(account.Status)
	if err != nil {
		w.breaks("the status of %s cannot be written: %v", account.Name, err)
	}
	if bytes.Contains(text, []byte(credential)) {
		w.breaks("a credential is in the status of %s: %s", account.Name, text)
	}
	if w.linksInSecret && bytes.Contains(text, []byte("ticket=")) {
		w.breaks("a link is in the status of %s: %s", account.Name, text)
	}
	for _, condition := range account.Status.Conditions {
		known := condition.Status == metav1.ConditionTrue || condition.Status == metav1.ConditionFalse || condition.Status == metav1.ConditionUnknown
		if !known || condition.Reason == "" || condition.Message == "" {
			w.breaks("a condition of %s is none that the API server takes: %+v", account.Name, condition)
		}
	}
	if last := account.Status.LastFailure; last != nil && last.Message != "" && !strings.Contains(last.Message, "M0") && !strings.Contains(last.Message, "Secret") && !strings.Contains(last.Message, "account") {
		w.breaks("the last failure of %s does not say whose it is: %s", account.Name, last.Message)
	}
	if w.telling {
		w.note("status of %s: %s", account.Name, w.conditionsOf(account))
	}
}

func (w *world) conditionsOf(account *v1alpha1.MarketplaceAccount) string {
	var all []string
	for _, condition := range account.Status.Conditions {
		all = append(all, condition.Type+"="+string(condition.Status)+" "+condition.Reason)
	}
	return strings.Join(all, ", ")
}

// observeGrant notes which refresh tokens are stored, and which were rejected with the sign-in that brought them.
func (w *world) observeGrant(s *shop, secret *corev1.Secret) {
	held := w.custody(s)
	s.refresh = held.RefreshToken
	for _, p := range w.processes {
		for token, c := range p.hand {
			switch {
			case bytes.Contains(bytes.Join(values(secret), nil), []byte(token)):
				c.account = s.name
				delete(p.hand, token)
			case c.account == s.name && w.isRejected(s, held, c):
				delete(p.hand, token)
			}
		}
	}
	if w.byUser {
		s.serial = held.Serial
		return
	}
	if held.Serial < s.serial {
		w.breaks("the serial of %s went back from %d to %d", s.name, s.serial, held.Serial)
	}
	s.serial = held.Serial
}

// isRejected tells that a custody names the seller of a grant as the one who signed in last, and that the account is another's. Such a grant is not
// kept, whether or not it can be revoked without harm to others of the same seller.
func (w *world) isRejected(s *shop, held custody.Custody, c *consent) bool {
	refused, expected := held.SignIn.Refused, held.Account.ID
	if account := w.account(s); account != nil && account.Spec.AccountID != "" {
		expected = account.Spec.AccountID
	}
	return refused != nil && refused.AccountID == c.seller && expected != "" && expected != c.seller
}

func values(secret *corev1.Secret) [][]byte {
	var all [][]byte
	for _, value := range secret.Data {
		all = append(all, value)
	}
	return all
}

// observeToken holds the token of workloads against the token that they read before.
func (w *world) observeToken(s *shop, secret *corev1.Secret) {
	if w.byUser {
		return
	}
	m := w.markets[s.market]
	held := m.issued[string(secret.Data[v1alpha1.TokenKeyAccessToken])]
	if held == nil {
		w.breaks("the token Secret of %s holds what the marketplace did not issue, or long ago", s.name)
		return
	}
	if was := s.published; was != nil && held.consent == was.consent && held.serial < was.serial {
		w.breaks("the token Secret of %s went back to an older token", s.name)
	}
	s.published = held
	if c := w.custody(s); c.Tokens == nil || c.Tokens.AccessToken != string(secret.Data[v1alpha1.TokenKeyAccessToken]) {
		w.breaks("a token of %s was published that is not stored", s.name)
	}
	if account := w.account(s); account != nil && account.Spec.AccountID != "" && held.seller != "" && held.seller != account.Spec.AccountID && (m.tells == "answer" || m.tells == "idtoken") {
		w.breaks("a token of %s was published for %s", held.seller, s.name)
	}
}

// usedAgain holds the second use of a refresh token outside its grace against promise 2.
func (w *world) usedAgain(p *process, m *market, c *consent, token string, after time.Duration) {
	for _, s := range w.shops {
		held := w.custody(s)
		var entry *custody.Journal
		switch {
		case held.RefreshToken == token:
			entry = held.Journal
		case held.ImportJournal != nil && (held.ImportJournal.Imported == token || held.Candidate != nil && held.Candidate.RefreshToken == token):
			entry = held.ImportJournal
		default:
			continue
		}
		switch {
		case !w.clockSet.Before(c.spent[token]): // the operators judge by their clock
		case s.broughtSpent && w.imported(s) == token:
		case slices.Contains(s.untold, token): // once
			s.untold = slices.DeleteFunc(s.untold, func(other string) bool { return other == token })
		case s.restored && s.asked: // a person has read that the token may be spent
		case entry == nil || entry.LastResorts == 0:
			w.breaks("%s sent a refresh token of %s again %s after it was spent, and not as a last resort", p.name, s.name, after)
		case held.RefreshToken == token:
			w.beforeItsEnd(s, p, held)
		}
		return
	}
	w.breaks("%s sent a refresh token of %s again that no custody holds, %s after it was spent", p.name, m.name, after)
}

// beforeItsEnd tells that a last resort came while the access token was still good.
func (w *world) beforeItsEnd(s *shop, p *process, held custody.Custody) {
	if held.Tokens == nil || held.Journal == nil || held.Journal.LastResorts > 1 || w.clockOffset != 0 {
		return
	}
	left := held.Tokens.ExpiresAt.Sub(p.Now())
	dead := held.Verified != nil && held.Verified.Refusals > 1
	if left > 3*time.Minute+2*time.Second && !dead && held.AuthorizationExpiresAt.IsZero() && w.markets[s.market].consentLife == 0 {
		w.breaks("a last resort of %s came %s before its token ends", s.name, left)
	}
}

// atRest holds statuses against the truth, when no person has anything to do.
func (w *world) atRest() {
	if w.calmFor() < 90*time.Second || len(w.alive()) != 1 || w.leader() == nil {
		return
	}
	w.oweNothing()
	for _, s := range w.shops {
		account := w.account(s)
		if account == nil || account.DeletionTimestamp != nil {
			continue
		}
		w.statusHolds(s, account)
	}
}

// statusHolds tells whether a status is true.
func (w *world) statusHolds(s *shop, account *v1alpha1.MarketplaceAccount) {
	now := time.Now().Add(w.clockOffset)
	token := w.secret(s.name + v1alpha1.TokenSecretSuffix)
	var expires time.Time
	if token != nil {
		expires, _ = time.Parse(time.RFC3339, string(token.Data[v1alpha1.TokenKeyExpiresAt]))
	}
	good := token != nil && now.Before(expires)
	ready := w.condition(s, v1alpha1.ConditionReady)
	if strings.HasPrefix(ready, "True") && !good && now.Sub(expires) > 5*time.Second {
		w.breaks("%s says Ready=True, and its token ended %s ago", s.name, now.Sub(expires))
	}
	reauth := w.condition(s, v1alpha1.ConditionReauthRequired)
	signsIn := s.grant == v1alpha1.GrantAuthorizationCode
	if signIn := account.Status.SignIn; signsIn && strings.HasPrefix(reauth, "True") && account.Spec.Renewal.Policy != v1alpha1.RenewalSuspended &&
		(signIn == nil || now.After(signIn.ExpirationTime.Time.Add(5*time.Second))) && !strings.HasSuffix(reauth, "SignInPending") && !w.noPortal {
		w.breaks("%s asks for a sign-in and shows no link that works: %s", s.name, reauth)
	}
	if w.linksInSecret && account.Status.SignIn != nil && account.Spec.Renewal.Policy != v1alpha1.RenewalSuspended && w.secret(s.name+v1alpha1.SignInSecretSuffix) == nil {
		w.breaks("%s shows where to sign in, and no Secret shows how", s.name)
	}
	w.waitsTooLong(s, account, now, expires, token != nil)
}

// waitsTooLong holds promise 5: no wait leaves an expired token in its Secret after a host is back.
func (w *world) waitsTooLong(s *shop, account *v1alpha1.MarketplaceAccount, now, expires time.Time, published bool) {
	if w.custody(s).Tokens == nil {
		return // how long the token lived is lost with the grant Secret, and the account backs off as one that never had any
	}
	if !published || now.Sub(expires) < 90*time.Second || account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended {
		return
	}
	if s.grant == v1alpha1.GrantPassword && w.loginInDoubt() {
		return // and one account alone asks for it
	}
	switch reason := w.condition(s, v1alpha1.ConditionAuthenticated); reason {
	case "Unknown MarketplaceUnavailable", "True TokenValid", "Unknown Renewing":
		if failure := account.Status.LastFailure; time.Now().After(w.markets[s.market].aloneUntil) && (failure == nil || failure.Reason != v1alpha1.ReasonRateLimited) {
			w.breaks("%s has an expired token since %s and nothing holds it up: %s", s.name, now.Sub(expires), w.conditions(s))
		}
	}
}

// loginInDoubt tells that it is unknown whether the login is locked.
func (w *world) loginInDoubt() bool {
	for _, s := range w.shops {
		if len(w.custody(s).Logins.Doubts) > 0 {
			return true
		}
	}
	return false
}
