package simulation_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// reference is the text for users about the reasons that a condition has with a status.
var reference = func() map[string]map[metav1.ConditionStatus][]string {
	text, err := os.ReadFile("../../docs/reference/marketplaceaccount.md")
	if err != nil {
		panic(err)
	}
	row, name := regexp.MustCompile("(?m)^\\| `(True|False|Unknown)` \\| (.+) \\|$"), regexp.MustCompile("`([A-Z]\\w+)`")
	told := map[string]map[metav1.ConditionStatus][]string{}
	for _, condition := range []string{v1alpha1.ConditionAuthenticated, v1alpha1.ConditionReauthRequired, v1alpha1.ConditionAuthorizationExpiring} {
		_, section, _ := strings.Cut(string(text), "\n#### "+condition+"\n")
		section, _, _ = strings.Cut(section, "\n#### ")
		told[condition] = map[metav1.ConditionStatus][]string{}
		for _, found := range row.FindAllStringSubmatch(section, -1) {
			for _, reason := range name.FindAllStringSubmatch(found[2], -1) {
				status := metav1.ConditionStatus(found[1])
				told[condition][status] = append(told[condition][status], reason[1])
			}
		}
		if len(told[condition]) < 2 {
			panic("the reference tells too little of " + condition)
		}
	}
	return told
}()

// passes are the reasons of which the reference says that another attempt comes by itself, and heldBack those with which nothing is before a change.
var (
	passes   = []string{v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonApplicationRejected, v1alpha1.ReasonSignInPending, v1alpha1.ReasonRenewing}
	heldBack = []string{v1alpha1.ReasonSuspended}
)

// saysAsDocumented holds a status against the reference.
func (w *world) saysAsDocumented(account *v1alpha1.MarketplaceAccount) {
	for _, condition := range account.Status.Conditions {
		if reasons.Of(condition.Reason).Actor == reasons.UnknownActor {
			w.breaks("%s of %s says %s, and nobody knows what that means", condition.Type, account.Name, condition.Reason)
		}
		told := reference[condition.Type]
		if told == nil || condition.Type == v1alpha1.ConditionAuthorizationExpiring && condition.Status == metav1.ConditionUnknown {
			continue
		}
		if !slices.Contains(told[condition.Status], condition.Reason) {
			w.breaks("%s of %s is %s with %s, of which the reference says nothing", condition.Type, account.Name, condition.Status, condition.Reason)
		}
	}
	authenticated := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionAuthenticated)
	if authenticated == nil || authenticated.Status == metav1.ConditionTrue {
		return
	}
	reason := authenticated.Reason
	if slices.Contains(reference[v1alpha1.ConditionReauthRequired][metav1.ConditionTrue], reason) && !meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReauthRequired) {
		w.breaks("%s says %s, and asks nobody to act", account.Name, reason)
	}
	stalled := meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionStalled)
	if slices.Contains(passes, reason) && stalled {
		w.breaks("%s says %s, which passes, and is stalled", account.Name, reason)
	}
	if s := w.shop(account.Name); slices.Contains(heldBack, reason) && !stalled && !(s != nil && s.refused) { // a write that is refused is tried again
		w.breaks("%s says %s, which only a change ends, and is not stalled", account.Name, reason)
	}
}

// meaning is the reason that an answer is told with; empty for none.
func meaning(name string, form url.Values, text string) string {
	if name != "" {
		if means := faults[name].means; means != "" {
			return means
		}
		if name != "refused" {
			return v1alpha1.ReasonMarketplaceUnavailable
		}
		text = faults[name].body
	}
	for code, reason := range map[string]string{
		"invalid_client": v1alpha1.ReasonApplicationRejected, "expired_token": v1alpha1.ReasonSignInRequired, "access_denied": v1alpha1.ReasonSignInRequired,
	} {
		if strings.Contains(text, code) {
			return reason
		}
	}
	if !strings.Contains(text, "invalid_grant") {
		return ""
	}
	switch form.Get("grant_type") {
	case "password":
		return v1alpha1.ReasonPasswordRejected
	case "refresh_token":
		return v1alpha1.ReasonGrantRejected
	case "client_credentials":
		return v1alpha1.ReasonApplicationRejected
	}
	return v1alpha1.ReasonSignInRequired
}

// hears notes the meaning of an answer for an account: the fault, and tokens that came all the same.
func (w *world) hears(name string, form url.Values, text string) {
	for _, means := range []string{meaning(name, form, text), meaning("", form, text)} {
		for _, s := range w.shops {
			if means != "" && (s == w.shop(w.looking) || means == v1alpha1.ReasonApplicationRejected) { // accounts share the words about their application
				s.answers = append(s.answers, means)
			}
		}
	}
}

// ofMarketplaces are the reasons that only an answer gives, or that there is none.
var ofMarketplaces = []string{
	v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonApplicationRejected, v1alpha1.ReasonScopeRejected,
	v1alpha1.ReasonGrantRejected, v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked,
}

// tellsWhatItHeard holds the last failure of an account against the answers since the one before.
func (w *world) tellsWhatItHeard(before, after *v1alpha1.MarketplaceAccount) {
	s := w.shop(after.Name)
	if s == nil || w.byUser {
		return
	}
	var was v1alpha1.FailureStatus
	if before != nil && before.UID == after.UID && before.Status.LastFailure != nil {
		was = *before.Status.LastFailure
	}
	is := after.Status.LastFailure
	if is == nil || *is == was {
		return
	}
	held := w.custody(s)
	for _, refused := range []*custody.Refusal{held.Refused, held.RefusedImport} { // what was tried again, and not answered
		if refused != nil && refused.Reason == is.Reason {
			return
		}
	}
	if len(w.alive()) == 1 && (!is.Time.Equal(&was.Time) || is.Count != was.Count) && slices.Contains(ofMarketplaces, is.Reason) && !slices.Contains(s.answers, is.Reason) {
		w.breaks("%s tells of a failure %s, and what it was answered means %v", s.name, is.Reason, s.answers)
	}
	s.answers = nil
}

// tellsOfTests holds a test that was asked for and is handled against the status: how it went, or that there are newer tokens.
func (w *world) tellsOfTests(before, after *v1alpha1.MarketplaceAccount) {
	s, is := w.shop(after.Name), after.Status.Handled
	if s == nil || w.byUser || is == nil || is.Verify == "" || s.verifyAsked.IsZero() || is.Verify != after.Annotations[v1alpha1.AnnotationVerify] {
		return
	}
	if before == nil || before.UID != after.UID || before.Status.Handled != nil && before.Status.Handled.Verify == is.Verify {
		return
	}
	asked, tokens, test := s.verifyAsked, w.custody(s).Tokens, after.Status.ConnectionTest
	if tokens == nil || !time.Now().Add(w.clockOffset).Before(tokens.ExpiresAt) || w.custody(s).Refused != nil || w.clockSet.After(asked) {
		return // there is nothing to test
	}
	if s.refused {
		return // what came of it could not be stored, and the failure says so
	}
	asked = asked.Add(w.clockOffset).Truncate(time.Second)
	if tokens.IssuedAt.Before(asked) && (test == nil || test.Time.Time.Before(asked)) {
		w.breaks("a test of %s was asked for and is handled, and nothing is told of it", s.name)
	}
}

// owed is an event that an operator has to tell.
type owed struct {
	account, event string
	since          time.Time
}

// noteEvents notes the events that a status is told with.
func (w *world) noteEvents(before, after *v1alpha1.MarketplaceAccount) {
	if w.byUser || before == nil || w.calmFor() < 90*time.Second {
		return
	}
	reason := func(of *v1alpha1.MarketplaceAccount, condition string) string {
		if found := meta.FindStatusCondition(of.Status.Conditions, condition); found != nil {
			return found.Reason
		}
		return ""
	}
	missing := []string{v1alpha1.ReasonSignInRequired, v1alpha1.ReasonSignInPending}
	if reason(after, v1alpha1.ConditionReauthRequired) == v1alpha1.ReasonSignInRequired && !slices.Contains(missing, reason(before, v1alpha1.ConditionReauthRequired)) {
		w.owed = append(w.owed, owed{after.Name, v1alpha1.EventSignInRequired, time.Now()})
	}
	const expiring = v1alpha1.ConditionAuthorizationExpiring
	if reason(after, expiring) == v1alpha1.ReasonAuthorizationExpiring && reason(before, expiring) != v1alpha1.ReasonAuthorizationExpiring {
		w.owed = append(w.owed, owed{after.Name, v1alpha1.EventAuthorizationExpiring, time.Now()})
	}
	if is, was := after.Status.LastFailure, before.Status.LastFailure; is != nil && is.Reason == v1alpha1.ReasonAccountMismatch && (was == nil || was.Reason != is.Reason) {
		w.owed = append(w.owed, owed{after.Name, v1alpha1.EventAccountMismatch, time.Now()})
	}
}

// pays notes an event that was told.
func (w *world) pays(account, event string) {
	w.owed = slices.DeleteFunc(w.owed, func(o owed) bool { return o.account == account && o.event == event })
}

// oweNothing tells whether all events were told.
func (w *world) oweNothing() {
	for _, o := range w.owed {
		if time.Since(o.since) > time.Second {
			w.breaks("the status of %s says so, and no event %s was told", o.account, o.event)
		}
	}
}
