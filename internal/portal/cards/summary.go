package cards

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// urgency is how soon an account needs a person. The most urgent value is the least.
type urgency int

const (
	needsPerson urgency = iota // nothing more happens until a person acts
	broken                     // it does not work until a person changes an object
	expiring                   // a person has to act soon
	failing                    // it does not work, for a reason that no sign-in cures
	warned                     // it works, and a person should look into a warning
	settled                    // nothing is to be done
)

// summary is how it is with an account, before it is put in words.
type summary struct {
	urgency urgency
	// reason is that of the condition that decides how it is; of an account that works it may be a warning.
	reason string
	// troubled tells that the account does not work as it should, so that it cannot be called authenticated.
	troubled bool
	// ends tells that the authorization ends, days how many days it still has, a begun day counted as one.
	ends bool
	days int
	// renewsItself tells that each renewal prolongs the authorization, so that no person has to mind its end.
	renewsItself bool
	// soon tells that the authorization is to be renewed before it ends.
	soon bool
	// hindrance is the reason why a person who has to sign in cannot; empty where none is in the way.
	hindrance string
	// usableUntil is when the published token expires, while there is one.
	usableUntil time.Time
}

// summaryOf reads the conditions of an account.
func summaryOf(account *v1alpha1.MarketplaceAccount, now time.Time) summary {
	status := &account.Status
	s := summary{urgency: settled}
	if authorization := status.Authorization; authorization != nil && !authorization.ExpirationTime.IsZero() {
		days := int(renewal.Days(authorization.ExpirationTime.Time, now))
		if s.renewsItself = authorization.DaysRemaining == nil && days > 0; !s.renewsItself {
			s.ends, s.days = true, days
		}
	}
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	authenticated := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionAuthenticated)
	if token := status.AccessToken; token != nil && isTrue(ready) && now.Before(token.ExpirationTime.Time) {
		s.usableUntil = token.ExpirationTime.Time
	}
	switch {
	case !isTrue(authenticated):
		s.troubled, s.reason = true, reasonOf(authenticated)
	case !isTrue(ready):
		s.troubled, s.reason = true, reasonOf(ready)
	default:
		s.reason = authenticated.Reason
	}
	expires := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionAuthorizationExpiring)
	unready := ""
	if !isTrue(ready) {
		unready = reasonOf(ready)
	}
	switch reauth := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReauthRequired); {
	case isTrue(reauth):
		s.urgency, s.reason = needsPerson, reauth.Reason
	case s.ends && s.days == 0:
		s.urgency, s.reason = needsPerson, v1alpha1.ReasonAuthorizationExpired
	case unready != "" && (onlyAChangeCures(unready) || onlyAChangeCures(s.reason)):
		s.urgency = broken
		s.soon = expires
		if onlyAChangeCures(unready) {
			s.reason = unready
		}
	case expires:
		s.urgency, s.soon = expiring, true
	case s.troubled:
		s.urgency = failing
	case reasons.Of(s.reason).Warns, isSuspended(account), applicationEnds(status.Application, now),
		status.ConnectionTest != nil && status.ConnectionTest.Result == v1alpha1.ConnectionTestFailed:
		s.urgency = warned
	case meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionClockSkewed):
		s.urgency, s.reason = warned, v1alpha1.ReasonClockSkewed
	}
	if s.urgency == needsPerson {
		s.hindrance = hindrance(account)
	}
	return s
}

// onlyAChangeCures tells that an account does not work until an object is changed.
func onlyAChangeCures(reason string) bool { return reasons.Of(reason).Cure == reasons.Change }

// applicationEnds tells that the client secret has ended, or does so soon.
func applicationEnds(status *v1alpha1.ApplicationStatus, now time.Time) bool {
	return status != nil && !status.SecretExpirationTime.IsZero() &&
		renewal.Days(status.SecretExpirationTime.Time, now) <= applicationWarning
}

// reasonOf is that of a condition; an absent one means that the operator has not looked yet.
func reasonOf(condition *metav1.Condition) string {
	if condition == nil {
		return v1alpha1.ReasonRenewing
	}
	return condition.Reason
}

func isTrue(condition *metav1.Condition) bool {
	return condition != nil && condition.Status == metav1.ConditionTrue
}

// compare orders accounts by their urgency. Among accounts that need a person the one without a usable token comes first, then
// the one with the token that expires first; after that, and among all other accounts, the one with the authorization that ends
// first.
func (s summary) compare(other summary) int {
	if c := cmp.Compare(s.urgency, other.urgency); c != 0 {
		return c
	}
	if s.urgency == needsPerson {
		if c := s.usableUntil.Compare(other.usableUntil); c != 0 { // the zero time is before any other
			return c
		}
	}
	if s.ends != other.ends {
		if s.ends {
			return -1
		}
		return 1
	}
	return cmp.Compare(s.days, other.days)
}
