package portal

import (
	"regexp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// applicationWarning is how many days before its end the secret of an application is spoken of.
const applicationWarning = 30

// says puts the standing of an account into words.
func (t *texts) says(s standing, marketplace string) string {
	switch {
	case s.urgency == needsPerson, s.troubled:
		return t.at(marketplace, t.reason(s.reason).Says)
	case s.ends:
		return t.count(t.ExpiresInDays, s.days)
	case s.urgency == expiring:
		return t.reason(v1alpha1.ReasonAuthorizationExpiring).Says
	}
	return t.Authenticated
}

// todo says what to do, a sentence or two at a time. Where no button signs the account in, somebody else has to act.
func (t *texts) todo(s standing, marketplace string, button bool) []string {
	var said []string
	say := func(sentences ...string) {
		for _, sentence := range sentences {
			if sentence != "" {
				said = append(said, t.at(marketplace, sentence))
			}
		}
	}
	words := t.reason(s.reason)
	switch {
	case s.urgency == needsPerson, s.troubled:
		say(words.do(button))
	case words.Do != "": // a warning
		say(words.Says, words.do(button))
	}
	if soon := t.reason(v1alpha1.ReasonAuthorizationExpiring); s.urgency == expiring {
		if s.troubled {
			say(soon.Says + ".")
		}
		say(soon.do(button))
	}
	return said
}

// do says what to do.
func (r reason) do(button bool) string {
	if !button && r.Otherwise != "" {
		return r.Otherwise
	}
	return r.Do
}

// stillWorks says for how long the published token goes on where the account does not.
func (t *texts) stillWorks(s standing, now time.Time) string {
	if s.usableUntil.IsZero() || s.urgency != needsPerson && !s.troubled {
		return ""
	}
	switch left := s.usableUntil.Sub(now); {
	case left < time.Hour:
		return t.count(t.WorksForMinutes, max(1, int(left/time.Minute)))
	case left < 2*day:
		return t.count(t.WorksForHours, int(left/time.Hour))
	default:
		return t.count(t.WorksForDays, int(left/day))
	}
}

// application warns of a client secret that ends.
func (t *texts) application(status *v1alpha1.ApplicationStatus, now time.Time) string {
	if status == nil || status.SecretExpirationTime.IsZero() {
		return ""
	}
	switch days := daysUntil(status.SecretExpirationTime.Time, now); {
	case days == 0:
		return t.ApplicationEnded
	case days <= applicationWarning:
		return t.count(t.ApplicationInDays, days)
	}
	return ""
}

func (t *texts) reason(name string) reason {
	if words, known := t.Reasons[name]; known {
		return words
	}
	return t.Reasons[""]
}

// details are the conditions' own messages, which are in English and for whoever set the account up.
func details(conditions []metav1.Condition) []string {
	var said []string
	for _, name := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionAuthenticated, v1alpha1.ConditionReauthRequired, v1alpha1.ConditionAuthorizationExpiring,
	} {
		for _, condition := range conditions {
			if condition.Type == name && condition.Reason != v1alpha1.ReasonNotRequired {
				said = append(said, name+"="+string(condition.Status)+", "+condition.Reason+": "+withoutTickets(condition.Message))
			}
		}
	}
	return said
}

// signInLink is a link with a ticket.
var signInLink = regexp.MustCompile(`\S*` + signin.LinkPrefix + `\S*\?\S*`)

// withoutTickets takes sign-in links out of a message: whoever has one could sign in as another seller.
func withoutTickets(message string) string {
	return signInLink.ReplaceAllString(message, "…")
}
