package lifecycle_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// The promises of docs/faults.md, as far as they can be said of the machine alone. They are judged by what the marketplace knows and people were told,
// and not by what the machine believes.

// mayBeSent holds the refresh token that is about to be sent against promise 2.
func (w *world) mayBeSent(f facts.Facts, token string) {
	if !w.market.rotating {
		return
	}
	if w.restored[token] && !w.atOwnRisk {
		w.breaks("promise 2: %s may be spent since it was restored, and is sent although nobody has asked for that", token)
	}
	journal := f.Journal()
	spent, at := w.market.wasSpent(token)
	if spent && !w.restored[token] && w.now.Sub(at) >= w.market.grace && (journal == nil || journal.LastResorts == 0) {
		w.breaks("promise 2: %s is sent again %s after it was spent, and not as a last resort", token, w.now.Sub(at))
	}
	if journal == nil || journal.LastResorts == 0 {
		return
	}
	if since := w.now.Sub(w.sent[token]); since < 90*time.Second {
		w.breaks("promise 2: %s is sent again %s after its answer was lost", token, since)
	}
	tokens := f.Custody.Tokens
	if tokens == nil || f.NewImport() != "" || journal.LastResorts > 1 {
		return
	}
	if left := tokens.ExpiresAt.Sub(w.now); left > 3*time.Minute {
		w.breaks("promise 2: %s is sent again before its end of use, while the access token is good for another %s", token, left)
	}
}

// publish writes the access token that workloads read, and holds it against promise 3.
func (w *world) publish(token string) {
	if w.stored.Tokens == nil || token != w.stored.Tokens.AccessToken {
		w.breaks("promise 3: %s is published, and not stored", token)
	}
	if w.market.access[token].number < w.market.access[w.published].number {
		w.breaks("promise 3: the token Secret goes back from %s to %s", w.published, token)
	}
	w.published = token
}

// keepsPromises holds the end of a look against promises 3 to 5.
func (w *world) keepsPromises(f facts.Facts) {
	if w.published != w.given {
		w.breaks("promise 3: the token Secret holds %q at rest, and %q was given last", w.published, w.given)
	}
	ready, ends := w.condition(v1alpha1.ConditionReady), w.market.access[w.published].ends
	if valid := w.now.Before(ends); valid != (ready == "True TokenValid") {
		w.breaks("promise 4: the published token ends in %s, and Ready is %s", ends.Sub(w.now), ready)
	}
	if code := w.stored.SignIn.Device; code != nil && code.Code == w.ended && w.account.Status.SignIn != nil {
		w.breaks("promise 4: the account asks for a sign-in by %s, of which the marketplace has said that it ended", code.Code)
	}
	w.asksForSignIn()
	w.looksAgain(ends)
}

// asksForSignIn wants an account to ask for a sign-in whose grant a lost answer has cost, or to say what the marketplace has refused since.
func (w *world) asksForSignIn() {
	token := w.stored.RefreshToken
	of, spent := w.market.grants[token], w.market.spent[token]
	if of == nil || of.current == token || w.restored[token] || w.suspended() || w.now.Sub(spent) < max(w.market.grace, 2*time.Minute) {
		return
	}
	told := w.condition(v1alpha1.ConditionReauthRequired)
	switch asks := strings.HasPrefix(told, "True"); {
	case !w.needsPerson(), !w.refused && !asks:
		w.breaks("promise 4: %s was spent %s ago and its successor did not arrive, and ReauthRequired is %s", token, w.now.Sub(spent), told)
	case asks && w.account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode && w.account.Status.SignIn == nil:
		w.breaks("promise 4: %s was spent and its successor did not arrive, and the account shows no link to sign in by", token)
	}
}

// looksAgain holds the time of the next look against promise 5. A person may be needed, the marketplace may have demanded the wait, and a refresh token whose
// answer was lost or a login in doubt has waits of its own. Where both custody and status were lost, nothing tells of the published token.
func (w *world) looksAgain(ends time.Time) {
	held := w.stored.Tokens
	due := held == nil || !w.now.Before(held.RenewAt)
	told := w.account.Status.AccessToken
	untold := held == nil && (told == nil || told.ExpirationTime.IsZero())
	journaled := w.market.grace == 0 && (w.stored.Journal != nil || w.stored.ImportJournal != nil)
	if w.published == "" || untold || !due || w.suspended() || journaled || w.now.Before(w.demanded) || len(w.stored.Logins.Doubts) > 0 || w.needsPerson() {
		return
	}
	switch most := max(ends.Sub(w.now)/4, 10*time.Second); {
	case w.next.IsZero():
		w.breaks("promise 5: the published token ends in %s, and the account never looks again", ends.Sub(w.now))
	case w.next.Sub(w.now) > most:
		w.breaks("promise 5: the published token ends in %s, and the account looks again in %s", ends.Sub(w.now), w.next.Sub(w.now))
	}
}

func (w *world) suspended() bool { return w.account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended }

// needsPerson tells that the status asks for a person.
func (w *world) needsPerson() bool {
	return strings.HasPrefix(w.condition(v1alpha1.ConditionReauthRequired), "True") || strings.HasPrefix(w.condition(v1alpha1.ConditionAuthenticated), "False")
}

// keepsGrant holds a step against promise 4: a grant that the marketplace honours stays in the custody until a newer one takes its place, and so does the
// refresh token of a consent that was put into use. before is the custody of before the step.
func (w *world) keepsGrant(before custody.Custody) {
	was, is := w.market.grants[before.RefreshToken], w.market.grants[w.stored.RefreshToken]
	if was != nil && was != is && was.current == before.RefreshToken && (is == nil || is.number < was.number) {
		w.breaks("promise 4: %s is honoured, and no longer in the custody", before.RefreshToken)
	}
	if is == nil || is.current == w.stored.RefreshToken || is.lost || w.restored[w.stored.RefreshToken] {
		return
	}
	w.breaks("promise 4: %s has a successor %q that is not in the custody, although no answer was lost", w.stored.RefreshToken, is.current)
}

// credentialIn returns a refresh token, an access token, a device code, a client secret or a password in a text; empty where there is none.
func credentialIn(text []byte) string {
	for i := 2; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		switch string(text[i-2 : i]) {
		case "RT", "AT", "DC", "CS", "PW":
			return string(text[i-2 : min(i+4, len(text))])
		}
	}
	return ""
}

// isSilent holds the status and the events against promise 6. The link to sign in by is in the status alone.
func (w *world) isSilent(before *v1alpha1.MarketplaceAccountStatus, l conditions.Look) {
	said, err := json.Marshal(l.Account.Status)
	if err != nil {
		panic(err)
	}
	for _, transition := range conditions.Transitions(before, l) {
		if strings.Contains(transition.Note, "ticket-") {
			w.breaks("promise 6: an event has a link that is good for anybody: %s", transition.Note)
		}
		said = append(said, transition.Note...)
	}
	if found := credentialIn(said); found != "" {
		w.breaks("promise 6: the credential %s… is said: %s", found, said)
	}
}
