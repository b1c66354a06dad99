package cards

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// applicationWarning is how many days before its end the secret of an application is spoken of.
const applicationWarning = 30

const day = 24 * time.Hour

// says puts the summary of an account into words.
func (t Texts) says(s summary, marketplace string) string {
	switch {
	case s.urgency == needsPerson && !s.troubled && reasons.Of(s.reason).AwaitsSignIn:
		return t.MoreScopes // the consent at hand goes on
	case s.urgency == needsPerson, s.troubled:
		return t.At(marketplace, t.reason(s.reason).Says)
	case s.ends:
		return t.Count(t.ExpiresInDays, s.days)
	case s.renewsItself && s.urgency != expiring:
		return t.RenewsItself
	case s.urgency == expiring:
		return t.reason(v1alpha1.ReasonAuthorizationExpiring).Says
	}
	return t.Authenticated
}

// means is how an account is signed in by the visitor.
type means int

const (
	ownSignIn       means = iota // with a button, or a code that is shown
	noSignIn                     // not at all: the grant is not one for a browser
	othersSignIn                 // by another person, with the right to change the account
	suspendedSignIn              // not before renewal is switched on, which a note says
	hinderedSignIn               // not before something else is changed
)

// todo gives the advice for a summary, a sentence or two at a time. Where no button signs the account in, another person has to
// act.
func (t Texts) todo(s summary, marketplace string, how means) []string {
	var said []string
	say := func(sentences ...string) {
		for _, sentence := range sentences {
			if sentence != "" {
				said = append(said, t.At(marketplace, sentence))
			}
		}
	}
	why := t.reason(s.reason)
	switch {
	case s.urgency == needsPerson, s.troubled:
		say(t.do(s.reason, how))
		if how == hinderedSignIn {
			say(t.reason(s.hindrance).Says+".", t.reason(s.hindrance).Do)
		}
	case reasons.Of(s.reason).Warns:
		say(why.Says, t.do(s.reason, how))
	}
	if soon := t.reason(v1alpha1.ReasonAuthorizationExpiring); s.soon {
		if s.troubled {
			say(soon.Says + ".")
		}
		say(t.do(v1alpha1.ReasonAuthorizationExpiring, how))
	}
	return said
}

// do gives the advice for a reason. Where the cure is a sign-in, accounts that no button signs in have advice of their own.
func (t Texts) do(name string, how means) string {
	advice := t.reason(name)
	if reasons.Of(name).Cure != reasons.SignIn {
		return advice.Do
	}
	switch how {
	case noSignIn:
		return cmp.Or(advice.Otherwise, advice.Do)
	case othersSignIn:
		return t.OthersSignIn
	case suspendedSignIn, hinderedSignIn:
		return ""
	case ownSignIn:
	}
	return advice.Do
}

// stillWorks says for how long the published token goes on where the account does not.
func (t Texts) stillWorks(s summary, now time.Time) string {
	if s.usableUntil.IsZero() || !s.troubled {
		return ""
	}
	switch left := s.usableUntil.Sub(now); {
	case left < time.Hour:
		return t.Count(t.WorksForMinutes, max(1, int(left/time.Minute)))
	case left < 2*day:
		return t.Count(t.WorksForHours, int(left/time.Hour))
	default:
		return t.Count(t.WorksForDays, int(left/day))
	}
}

// application warns of a client secret that ends.
func (t Texts) application(status *v1alpha1.ApplicationStatus, now time.Time) string {
	if !applicationEnds(status, now) {
		return ""
	}
	if days := renewal.Days(status.SecretExpirationTime.Time, now); days > 0 {
		return t.Count(t.ApplicationInDays, int(days))
	}
	return t.ApplicationEnded
}

func (t Texts) reason(name string) words.Reason {
	if said, known := t.Reasons[name]; known {
		return said
	}
	return t.Reasons[""]
}

// details are the status's own messages, which are in English and for the person who set the account up.
func details(status *v1alpha1.MarketplaceAccountStatus) []string {
	var said []string
	message := func(text string) string { return withoutCode(withoutTickets(text), status.SignIn) }
	for _, name := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionAuthenticated, v1alpha1.ConditionReauthRequired, v1alpha1.ConditionAuthorizationExpiring,
	} {
		for _, condition := range status.Conditions {
			if condition.Type == name && reasons.Of(condition.Reason).Severity != reasons.Absent {
				said = append(said, name+"="+string(condition.Status)+", "+condition.Reason+": "+message(condition.Message))
			}
		}
	}
	if test := status.ConnectionTest; test != nil && test.Message != "" {
		said = append(said, "Connection test "+string(test.Result)+": "+message(test.Message))
	}
	return said
}

// withoutCode takes the code of a device out of a message, as withoutTickets does with links: visitors with the right to use the
// code see it beside the button.
func withoutCode(message string, code *v1alpha1.SignInStatus) string {
	if code == nil {
		return message
	}
	for _, secret := range []string{code.URL, code.UserCode} {
		if secret != "" {
			message = strings.ReplaceAll(message, secret, "…")
		}
	}
	return message
}

// signInLink is a link with a ticket.
var signInLink = regexp.MustCompile(`\S*` + signin.LinkPrefix + `\S*\?\S*`)

// withoutTickets takes sign-in links out of a message: its holder could sign in as another seller.
func withoutTickets(message string) string {
	return signInLink.ReplaceAllString(message, "…")
}
