package conditions

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Urgency is how long a new status may wait to be written.
type Urgency int

const (
	// Immediate: it does not wait.
	Immediate Urgency = iota
	// TokenTimesOnly: it tells the times of the tokens of a renewal, and nothing else.
	TokenTimesOnly
	// LimiterClosedOnly: it tells that no token was asked for, since the limiter or the circuit breaker is closed, and nothing else.
	LimiterClosedOnly
	// Urgencies is how many there are.
	Urgencies
)

// UrgencyOf is how long the status of a look may wait that replaces before. needed tells that a person waits for the tokens of the account.
func UrgencyOf(before *v1alpha1.MarketplaceAccountStatus, l Look, needed bool) Urgency {
	after := &l.Account.Status
	switch {
	case !l.First && tokenTimesOnly(before, after):
		return TokenTimesOnly
	case l.LimiterClosed && !needed && conditionsOnly(before, after):
		return LimiterClosedOnly
	}
	return Immediate
}

// tokenTimesOnly tells whether a status differs by no more than any renewal brings: the times of its tokens, how far they move the
// authorization's end, and messages that name them.
func tokenTimesOnly(before, after *v1alpha1.MarketplaceAccountStatus) bool {
	if before.AccessToken == nil || after.AccessToken == nil || before.AccessToken.Serial+1 != after.AccessToken.Serial {
		return false // this also bounds how far a status stays behind
	}
	told := before.DeepCopy()
	told.AccessToken = after.AccessToken
	if told.Authorization != nil && after.Authorization != nil {
		told.Authorization.ExpirationTime, told.Authorization.DaysRemaining = after.Authorization.ExpirationTime, after.Authorization.DaysRemaining
	}
	if len(told.Conditions) != len(after.Conditions) {
		return false
	}
	for i := range told.Conditions {
		told.Conditions[i].Message = after.Conditions[i].Message
	}
	return equality.Semantic.DeepEqual(told, after)
}

// conditionsOnly tells whether a status differs by its conditions and nothing else.
func conditionsOnly(before, after *v1alpha1.MarketplaceAccountStatus) bool {
	if equality.Semantic.DeepEqual(before.Conditions, after.Conditions) {
		return false
	}
	told := before.DeepCopy()
	told.Conditions = after.Conditions
	return equality.Semantic.DeepEqual(told, after)
}
