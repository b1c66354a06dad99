package lifecycle

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Action is one thing that may have to be done for an account. It asks a marketplace for one thing at most: with each of two client secrets, where one is
// being replaced.
type Action uint

// The actions, in the order in which they are looked at.
const (
	// Wait: there is nothing to do before time passes or a change comes.
	Wait Action = iota
	// ReadSecrets reads the Secrets of users that were recalled so far.
	ReadSecrets
	// StoreApproval stores the tokens that a device code has become, of which the only copy is in memory.
	StoreApproval
	// VerifyIDToken checks the ID token of a candidate grant that came while the issuer's keys could not be had.
	VerifyIDToken
	// DecideCandidate puts a candidate grant into use, or keeps it out of use, by the account that is known to be its own.
	DecideCandidate
	// Identify asks for the account of the candidate grant, or of tokens that have just come.
	Identify
	// UseAside puts a grant of another account into use that a renewal brought, now that the spec names that account.
	UseAside
	// CountRestFromNow writes down that a refresh token rests, or a login waits, from now on, since the clock was set back.
	CountRestFromNow
	// Renew asks for tokens.
	Renew
	// Poll asks whether a person has approved the device code.
	Poll
	// StartCode asks for a device code.
	StartCode
	// OfferLink makes a link for a person to sign in by.
	OfferLink
	// Publish makes the token Secret follow the custody.
	Publish
	// FindDuplicate looks for an older account of the same seller.
	FindDuplicate
	// Test asks the marketplace whether it honours the access token, as a person or the daily test wants.
	Test
	// RecordRefusedToken writes down that it does not.
	RecordRefusedToken
	// PublishSignIn makes the sign-in Secret follow the link or the code of a sign-in, and removes it where there is none.
	PublishSignIn
	actionsEnd
)

// String returns the action's name, as scripts of tests have it.
func (a Action) String() string {
	return [actionsEnd]string{
		"Wait", "ReadSecrets", "StoreApproval", "VerifyIDToken", "DecideCandidate", "Identify", "UseAside", "CountRestFromNow", "Renew", "Poll", "StartCode", "OfferLink",
		"Publish", "FindDuplicate", "Test", "RecordRefusedToken", "PublishSignIn",
	}[a]
}

// Actions is a set of them.
type Actions uint

// Every action.
const Every Actions = 1<<actionsEnd - 1

// AllBut returns every action but some.
func AllBut(some ...Action) Actions {
	all := Every
	for _, action := range some {
		all = all.Without(action)
	}
	return all
}

// With adds an action.
func (s Actions) With(action Action) Actions { return s | 1<<action }

// Without takes an action out.
func (s Actions) Without(action Action) Actions { return s &^ (1 << action) }

// Has tells whether an action is in the set.
func (s Actions) Has(action Action) bool { return s&(1<<action) != 0 }

// steps are the actions with the condition on which each is due, in the order in which they are looked at: tokens that are in memory alone come
// first, then grants that wait, then tokens, then the link or code of a sign-in, then the token Secret and the status. The sign-in Secret is the last,
// so that no tokens wait for it.
var steps = []struct {
	action Action
	due    func(*facts.Facts) bool
}{
	{StoreApproval, func(f *facts.Facts) bool { return f.Approved }},
	{VerifyIDToken, func(f *facts.Facts) bool { return candidateCounts(f) && f.CandidateGrant().Unverified && !f.Verified }},
	{DecideCandidate, func(f *facts.Facts) bool { return candidateVerified(f) && candidateDecided(f) }},
	{Identify, mustIdentify},
	{UseAside, func(f *facts.Facts) bool { return f.AsideIsExpected() && !f.Suspended() }},
	{CountRestFromNow, (*facts.Facts).AheadOfClock},
	{Renew, func(f *facts.Facts) bool { return f.Plan().Due && f.OtherProcessUntil().IsZero() }},
	{Poll, func(f *facts.Facts) bool {
		return needsCode(f) && f.CodeLives() && !f.SignInRequested() && !f.Now.Before(f.PollAt)
	}},
	{StartCode, mustStartCode},
	{OfferLink, invitation.MustOffer},
	{Publish, func(f *facts.Facts) bool { return f.Custody.Tokens != nil && !f.WrongAccount() }},
	{FindDuplicate, func(f *facts.Facts) bool { return f.Custody.Account.ID != "" }},
	{Test, mustTest},
	{RecordRefusedToken, func(f *facts.Facts) bool { return f.TokenRefused }},
	{PublishSignIn, invitation.MustPublish},
}

// withoutSecrets are the actions for which it is enough that the Secrets of users were recalled.
const withoutSecrets Actions = 1<<Wait | 1<<Publish | 1<<FindDuplicate | 1<<PublishSignIn

// Next is the next action for an account in one look, in which some actions were tried already: the first of the steps that is due. While
// the account's references are not in order, nothing is done but to publish the tokens at hand.
func Next(f *facts.Facts, tried Actions) Action {
	action := firstDue(f, tried)
	if f.Request.Recalled && !tried.Has(ReadSecrets) && !(withoutSecrets.Has(action) && f.Custody.Settled()) {
		return ReadSecrets
	}
	return action
}

func firstDue(f *facts.Facts, tried Actions) Action {
	for _, step := range steps {
		if tried.Has(step.action) || f.Unresolved && step.action != Publish {
			continue
		}
		if step.due(f) {
			return step.action
		}
	}
	return Wait
}

// candidateCounts tells that a candidate grant may be looked at now. An import of another account waits until the spec names that account; a sign-in as
// another account is rejected at once. A sign-in that was stored just now is left to the process that took it, where a person waits for the result.
func candidateCounts(f *facts.Facts) bool {
	candidate := f.CandidateGrant()
	if candidate == nil || f.Suspended() || candidate.Consent == 0 && candidate.Account.ID != "" && !f.ExpectsAccount(candidate.Account) {
		return false
	}
	return f.Fresh || !CandidateRests(f)
}

// CandidateRests tells that the candidate grant is of a sign-in that another process looks at.
func CandidateRests(f *facts.Facts) bool {
	candidate := f.CandidateGrant()
	if candidate == nil || candidate.Consent == 0 {
		return false
	}
	age := f.Now.Sub(candidate.Tokens.IssuedAt)
	return age >= 0 && age < 2*timeouts.Identify
}

func candidateVerified(f *facts.Facts) bool {
	return candidateCounts(f) && (f.Verified || !f.CandidateGrant().Unverified)
}

// candidateDecided tells that nothing has to be asked about the candidate grant: its account is known, any is accepted, or its tokens ended
// before anybody could tell.
func candidateDecided(f *facts.Facts) bool {
	candidate := f.CandidateGrant()
	return candidate.Account.ID != "" || f.ExpectedAccount() == "" || f.CanIdentify() && candidateEnded(f)
}

func candidateEnded(f *facts.Facts) bool { return !f.Now.Before(f.CandidateGrant().Tokens.ExpiresAt) }

// mustIdentify tells that an identity request is due: of a candidate grant at each look, of tokens in use when they have just come.
func mustIdentify(f *facts.Facts) bool {
	if !f.CanIdentify() {
		return false
	}
	if f.CandidateGrant() != nil {
		return candidateVerified(f) && !candidateDecided(f)
	}
	return f.Fresh && f.Custody.Account.ID == "" && f.Usable()
}

// needsCode tells that a device code should be waiting for a person.
func needsCode(f *facts.Facts) bool {
	return f.Request.Grant == v1alpha1.GrantDeviceCode && f.NeedsSignIn()
}

func mustStartCode(f *facts.Facts) bool {
	if !needsCode(f) || f.CodeLives() && !f.SignInRequested() || !f.MayStartCode() || f.PlaceTaken != "" {
		return false
	}
	return f.Custody.SignIn.Device != nil || !f.Now.Before(f.PollAt)
}

// mustTest tells that a test of the connection is due: since a person asks for it, since the last one did not reach the marketplace, or
// since nothing else tells that a token was revoked which does not end.
func mustTest(f *facts.Facts) bool {
	if f.Suspended() || !f.Usable() || f.TokenRefused {
		return false
	}
	if daily := f.DailyTest(); !daily.IsZero() && !f.Now.Before(daily) {
		return true
	}
	again := f.NextTest()
	asked := facts.RequestOf(f.Account, v1alpha1.AnnotationVerify) != ""
	return asked && (f.TestRequested() || !again.IsZero() && !f.Now.Before(again))
}

// Conclusion is the outcome at the end of a look in which nothing is due any more: the invitation to sign in, and the requests of people that count as
// handled since the account has nothing to act on them with.
func Conclusion(f *facts.Facts) Outcome {
	if f.Unresolved {
		return Outcome{}
	}
	o, due := Outcome{Invited: true, Invitation: invitation.InStatus(f)}, f.Plan().Due
	o.HandledRenew = f.RenewalRequested() && f.CannotRenew() && !due
	o.HandledVerify = facts.RequestOf(f.Account, v1alpha1.AnnotationVerify) != "" && !f.Usable() && f.CannotRenew()
	if due { // and left to another process
		o.Postponed = f.OtherProcessUntil()
	}
	if CandidateRests(f) && !f.Fresh && !f.Suspended() {
		o.LookAgain = recheck
	}
	return o
}
