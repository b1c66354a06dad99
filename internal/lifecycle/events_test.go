package lifecycle_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

type change = func(*facts.Facts)

// with is an account of a grant that works, renewed an hour ago, and changed.
func with(grant v1alpha1.GrantType, changes ...change) facts.Facts {
	w := newWorld(grant, true, 0)
	f := w.facts()
	f.Custody = custody.Custody{Serial: 4, Grant: custody.Grant{Account: custody.Account{ID: "17"}, GrantedAt: noon.Add(-time.Hour), Tokens: tokens("AT")}}
	if f.Request.RenewsByRefreshToken() {
		f.Custody.RefreshToken, f.Custody.ClientID = "RT", "app"
	}
	if grant == v1alpha1.GrantAuthorizationCode || grant == v1alpha1.GrantDeviceCode {
		f.Custody.Consent, f.Custody.Consents, f.Custody.Accepted, f.Custody.Asked = 1, 1, 1, []string{}
	}
	if grant == v1alpha1.GrantRefreshToken {
		f.Custody.Imported, f.Request.Imported = "import", tokensecret.Import{RefreshToken: "import"}
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// doubted has the login wait for a minute, since its attempt ended without the platform's word, so far ahead of the clock.
func doubted(ahead time.Duration) change {
	return func(f *facts.Facts) {
		f.Custody.RefusalKey, f.Request.Login = []byte("key"), tokensecret.Login{Username: "shop", Password: "password"}
		doubt := custody.Doubt{Login: f.Custody.RefusalDigest(f.Request.PasswordParts()), WaitSeconds: 60}
		f.Custody.Logins = f.Custody.Logins.With(doubt.Try(f.Custody.RefusalDigest(f.Request.LoginParts()), noon.Add(ahead)))
	}
}

// TestALoginWaitsFromNowOn: the moment of its last attempt is now, and nothing else is.
func TestALoginWaitsFromNowOn(t *testing.T) {
	f := with(v1alpha1.GrantPassword, doubted(time.Hour))
	if f.LoginDoubt() == nil {
		t.Fatal("there is no doubt")
	}
	change := lifecycle.CountRest(f)
	want := *f.LoginDoubt()
	want.LastAt = noon
	if diff := cmp.Diff([]custody.Doubt{want}, change.Store.Logins.Doubts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.Custody = *change.Store; f.AheadOfClock() || !f.LoginWait().Equal(noon.Add(time.Minute)) {
		t.Errorf("it waits until %s, ahead of the clock: %t", f.LoginWait(), f.AheadOfClock())
	}
}

func tokens(access string) *custody.Tokens {
	return &custody.Tokens{AccessToken: access, For: "key", IssuedAt: noon.Add(-time.Hour), RenewAt: noon.Add(10 * time.Hour), ExpiresAt: noon.Add(11 * time.Hour)}
}

// candidate has a grant wait, of a sign-in or of an import.
func candidate(consent int64, account string) change {
	return func(f *facts.Facts) {
		f.Custody.Candidate = &custody.Grant{RefreshToken: "new RT", ClientID: "app", Consent: consent, Account: custody.Account{ID: account}, Tokens: tokens("new AT")}
		f.Custody.Consents = max(f.Custody.Consents, consent)
		if consent == 0 {
			f.Custody.Candidate.Imported, f.Request.Imported.RefreshToken = "second import", "second import"
		}
	}
}

func expects(id string) change { return func(f *facts.Facts) { f.Account.Spec.AccountID = id } }

func signInAsked(f *facts.Facts) { f.Account.Annotations[v1alpha1.AnnotationSignIn] = "now" }

func dead(f *facts.Facts) {
	f.Custody.RefreshToken, f.Custody.Tokens, f.Custody.Consent, f.Custody.Accepted = "", nil, 0, 0
}

func device(f *facts.Facts) {
	f.Custody.SignIn.Device = &custody.Device{Code: "device", ClientID: "app", Asked: f.Request.Platform.Scopes, StartedAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(time.Hour)}
}

func rejection(kind answer.Kind) error {
	return &answer.Error{Kind: kind, Code: string(kind), Status: 400, Message: "no"}
}

// told is what a change does, in a line.
func told(f facts.Facts, change lifecycle.Change) string {
	var parts []string
	notStored := change.NotStored()
	stored := f.Custody
	if change.Store != nil {
		how := "stores"
		if change.OnlyCopy {
			how = "keeps"
		}
		stored = *change.Store
		parts = append(parts, how+": "+difference(f.Custody, stored))
	}
	_, o, effects := change.Stored(f, stored)
	if notStored.Obtained || notStored.First || notStored.Rejected || notStored.HandledSignIn || notStored.HandledVerify {
		parts = append(parts, "TELLS BEFORE IT IS STORED")
	}
	if notStored.Failure != nil {
		parts = append(parts, "even if that fails: "+notStored.Failure.Reason)
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"obtained", o.Obtained}, {"attempted", o.Attempted}, {"rejected", o.Rejected}} {
		if flag.set {
			parts = append(parts, flag.name)
		}
	}
	if o.Failure != nil {
		parts = append(parts, "fails: "+o.Failure.Reason)
	}
	if o.Dropped != nil {
		parts = append(parts, "dropped: "+o.Dropped.Reason)
	}
	if o.HandledRenew || o.HandledVerify || o.HandledSignIn {
		parts = append(parts, "handled")
	}
	if o.LookAgain > 0 {
		parts = append(parts, "looks again in "+o.LookAgain.String())
	}
	if effects.Revoke != nil {
		parts = append(parts, "revokes "+effects.Revoke.RefreshToken)
	}
	if effects.SignInCompleted {
		parts = append(parts, "sign-in completed")
	}
	if effects.SignInRejected != nil {
		parts = append(parts, "sign-in rejected")
	}
	return strings.Join(parts, "; ")
}

// difference is what changed in a custody, in a few words.
func difference(before, after custody.Custody) string {
	var parts []string
	add := func(name string, was, is any) {
		if !cmp.Equal(was, is) {
			parts = append(parts, fmt.Sprintf("%s %v", name, is))
		}
	}
	reason := func(r *custody.Refusal) string {
		if r == nil {
			return "none"
		}
		return strings.TrimSpace(r.Reason + " " + r.AccountID)
	}
	grant := func(g *custody.Grant) string {
		if g == nil {
			return "none"
		}
		return g.RefreshToken + " of " + g.Account.ID
	}
	journal := func(j *custody.Journal) string {
		switch {
		case j == nil:
			return "none"
		case j.Lost:
			return fmt.Sprintf("%d attempts, lost", j.Attempts)
		}
		return fmt.Sprintf("%d attempts at %s", j.Attempts, j.LastAt.Format("15:04"))
	}
	code := func(d *custody.Device) string {
		if d == nil {
			return "none"
		}
		return d.Code + " until " + d.ExpiresAt.Format("15:04")
	}
	add("serial", before.Serial, after.Serial)
	add("refresh token", before.RefreshToken, after.RefreshToken)
	add("account", before.Account.ID, after.Account.ID)
	add("identified", before.Identified, after.Identified)
	add("candidate", grant(before.Candidate), grant(after.Candidate))
	add("aside", grant(before.Aside), grant(after.Aside))
	add("journal", journal(before.Journal), journal(after.Journal))
	add("import journal", journal(before.ImportJournal), journal(after.ImportJournal))
	add("refused", reason(before.Refused), reason(after.Refused))
	add("import refused", reason(before.RefusedImport), reason(after.RefusedImport))
	add("sign-in refused", reason(before.SignIn.Refused), reason(after.SignIn.Refused))
	add("code", code(before.SignIn.Device), code(after.SignIn.Device))
	add("unattended", before.SignIn.Unattended, after.SignIn.Unattended)
	add("tickets", len(before.SignIn.Tickets), len(after.SignIn.Tickets))
	add("spent imports", before.SpentImports, after.SpentImports)
	add("not before", before.NotBefore, after.NotBefore)
	if after.Verified != nil && before.Verified == nil {
		parts = append(parts, fmt.Sprintf("tested, %d refusals, %q", after.Verified.Refusals, after.Verified.Failure))
	}
	if after.SignIn.Ended != nil && before.SignIn.Ended == nil {
		parts = append(parts, "code ended early")
	}
	if after.PreviousSecretOf != before.PreviousSecretOf {
		parts = append(parts, "by the previous secret")
	}
	if after.ClientSecret != nil && before.ClientSecret == nil {
		parts = append(parts, "client secret since "+after.ClientSecret.At.Format("15:04"))
	}
	return strings.Join(parts, ", ")
}

func TestEvents(t *testing.T) {
	const code, importing, deviceCode = v1alpha1.GrantAuthorizationCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantDeviceCode
	issued := func(account string) lifecycle.Issued {
		got := (&market{}).issue("next RT", noon)
		got.Account = custody.Account{ID: account, By: "answer"}
		return got
	}
	consent := func(account string, unverified bool) lifecycle.Consent {
		return lifecycle.Consent{Issued: issued(account), Asked: []string{}, Unverified: unverified}
	}
	gone := &answer.IdentityError{}
	refusedToken := func(f facts.Facts) lifecycle.Change {
		return lifecycle.AfterIdentity(f, answer.Identity{}, &answer.IdentityError{Status: 401})
	}
	setBack := func(back time.Duration) change {
		return func(f *facts.Facts) {
			f.Custody.Candidate.Tokens.IssuedAt, f.Custody.Candidate.Tokens.ExpiresAt = f.Now.Add(back), f.Now.Add(back+time.Hour)
		}
	}
	sellerGone := func(f *facts.Facts) { f.Custody.Account, f.Account.Spec.AccountID = custody.Account{}, "17" }
	ended := func(f *facts.Facts) { f.Custody.Candidate.Tokens.ExpiresAt = noon }
	demanded := func(f *facts.Facts) {
		f.Custody.NotBefore, f.Custody.DemandedAt = noon.Add(time.Hour), noon.Add(-time.Minute)
	}
	sent := func(f *facts.Facts) { f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1} }
	signInRefused := func(reason string) change {
		return func(f *facts.Facts) { f.Custody.SignIn.Refused = &custody.Refusal{Reason: reason} }
	}
	lose := func(f facts.Facts) lifecycle.Change {
		return lifecycle.AfterFailure(f, &answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true}, true)
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		event func(facts.Facts) lifecycle.Change
		want  string
	}{
		"a renewal": {with(importing), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("")) },
			`keeps: serial 5, refresh token next RT; obtained`},
		"a renewal by the previous client secret": {with(importing), func(f facts.Facts) lifecycle.Change {
			got := issued("")
			got.ByPreviousSecret = true
			return lifecycle.AfterIssued(f, got)
		}, `keeps: serial 5, refresh token next RT, by the previous secret; obtained`},
		"a renewal with the Marketplace's application, by the previous client secret": {with(importing, func(f *facts.Facts) { f.Request.Shared = true }), func(f facts.Facts) lifecycle.Change {
			got := issued("")
			got.ByPreviousSecret = true
			return lifecycle.AfterIssued(f, got)
		}, `keeps: serial 5, refresh token next RT, by the previous secret; obtained`},
		"a renewal where client secrets end": {with(importing, func(f *facts.Facts) {
			f.Request.Platform.ApplicationSecretLifetime, f.Request.Application.SecretSince = 24*time.Hour, noon.Add(-time.Hour)
		}), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("")) },
			`keeps: serial 5, refresh token next RT, client secret since 11:00; obtained`},
		"a renewal that brings another seller's tokens": {with(importing), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("5")) },
			`keeps: serial 5, refresh token , aside next RT of 5; even if that fails: AccountMismatch; attempted; fails: AccountMismatch`},
		"a renewal that brings another seller's tokens while an import rests": {with(importing, func(f *facts.Facts) {
			f.Request.Imported.RefreshToken = "second import"
			f.Custody.ImportJournal = &custody.Journal{StartedAt: noon, LastAt: noon, Imported: "second import", Attempts: 1, Lost: true}
		}), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("5")) },
			`keeps: serial 5, refresh token , aside next RT of 5; even if that fails: AccountMismatch; attempted; fails: AccountMismatch`},
		"an import of another seller": {with(importing, func(f *facts.Facts) { f.Request.Imported.RefreshToken = "second import" }),
			func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("5")) },
			`keeps: serial 5, candidate next RT of 5, spent imports [second import]; even if that fails: AccountMismatch; attempted; fails: AccountMismatch`},
		"an import of whom nobody knows": {with(importing, func(f *facts.Facts) { f.Request.Imported.RefreshToken = "second import" }),
			func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("")) },
			`keeps: serial 5, candidate next RT of , spent imports [second import]`},
		"an import of whom nobody knew in time": {with(importing, candidate(0, ""), ended), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterIssued(f, issued("")) },
			`keeps: serial 5, candidate next RT of , spent imports [second import]`},
		"an import of whom nobody knew in time, which is refused": {with(importing, candidate(0, ""), ended), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		}, `keeps: candidate none, import refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"an import of whom nobody knew in time, with scopes that are refused": {with(importing, candidate(0, ""), ended), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.ScopeRejected), true)
		}, `keeps: import refused ScopeRejected; even if that fails: ScopeRejected; attempted; fails: ScopeRejected`},
		"an import that is refused while another one waits": {with(importing, candidate(0, ""), ended, func(f *facts.Facts) { f.Request.Imported.RefreshToken = "third import" }), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		}, `keeps: import refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"the spec names the account that was set aside": {with(importing, expects("5"), func(f *facts.Facts) {
			f.Custody.Aside = &custody.Grant{RefreshToken: "other RT", Account: custody.Account{ID: "5"}, Tokens: tokens("other")}
		}), lifecycle.UseGrantAside, `keeps: serial 5, refresh token other RT, account 5, aside none; obtained`},

		"an outage": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.Unavailable), true)
		},
			`even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},
		"a demanded wait": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, &answer.Error{Kind: answer.Throttled, Status: 429, RetryAfter: time.Minute}, true)
		}, `keeps: not before 2026-03-02 12:01:00 +0000 UTC; even if that fails: RateLimited; attempted; fails: RateLimited`},
		"an outage, and an import was refused before the clock was set back": {with(importing, func(f *facts.Facts) {
			f.Custody.RefusedImport = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, At: noon.Add(time.Hour)}
		}), func(f facts.Facts) lifecycle.Change {
			change := lifecycle.AfterFailure(f, rejection(answer.Unavailable), true)
			if at := change.Store.RefusedImport.At; !at.Equal(noon) {
				t.Errorf("the import was refused at %s, after the failure", at)
			}
			return change
		}, `keeps: ; even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},
		"an outage, and an import was refused before": {with(importing, func(f *facts.Facts) {
			f.Custody.RefusedImport = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, At: noon}
		}), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.Unavailable), true)
		}, `even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},
		"an outage after a demanded wait": {with(importing, demanded), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.Unavailable), true)
		}, `keeps: not before 0001-01-01 00:00:00 +0000 UTC; even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},
		"an outage of what an issuer tells of itself, in a demanded wait": {with(importing, demanded), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.Unavailable), false)
		}, `even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},
		"a shorter wait that an issuer demands, in a demanded wait": {with(importing, demanded), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, &answer.Error{Kind: answer.Throttled, Status: 429, RetryAfter: time.Minute}, false)
		}, `even if that fails: RateLimited; attempted; fails: RateLimited`},
		"the grant is refused": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		},
			`keeps: refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"a second import is refused": {with(importing, func(f *facts.Facts) { f.Request.Imported.RefreshToken = "second import" }),
			func(f facts.Facts) lifecycle.Change {
				return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
			},
			`keeps: import refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"the application is refused with a second import": {with(importing, func(f *facts.Facts) { f.Request.Imported.RefreshToken = "second import" }),
			func(f facts.Facts) lifecycle.Change {
				return lifecycle.AfterFailure(f, rejection(answer.ApplicationRejected), true)
			},
			`keeps: refused ApplicationRejected; even if that fails: ApplicationRejected; attempted; fails: ApplicationRejected`},
		"the answer is lost": {with(importing, func(f *facts.Facts) { f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1} }),
			func(f facts.Facts) lifecycle.Change {
				return lifecycle.AfterFailure(f, &answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true}, true)
			}, `keeps: serial 5, journal 1 attempts, lost; even if that fails: RenewalOutcomeUnknown; attempted; fails: RenewalOutcomeUnknown`},
		"the answer is lost, and a person had declined before": {with(code, sent, signInRefused(v1alpha1.ReasonSignInRequired)), lose,
			`keeps: serial 5, journal 1 attempts, lost, sign-in refused none; even if that fails: RenewalOutcomeUnknown; attempted; fails: RenewalOutcomeUnknown`},
		"the answer is lost, and the marketplace gave no code before": {with(deviceCode, sent, signInRefused(v1alpha1.ReasonMarketplaceUnavailable)), lose,
			`keeps: serial 5, journal 1 attempts, lost, sign-in refused none; even if that fails: RenewalOutcomeUnknown; attempted; fails: RenewalOutcomeUnknown`},
		"the answer is lost, and a person had signed in as somebody else": {with(code, sent, signInRefused(v1alpha1.ReasonAccountMismatch)), lose,
			`keeps: serial 5, journal 1 attempts, lost, sign-in refused none; even if that fails: RenewalOutcomeUnknown; attempted; fails: RenewalOutcomeUnknown`},
		"the grant is refused, and a person had declined before": {with(code, sent, signInRefused(v1alpha1.ReasonSignInRequired)), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		}, `keeps: journal none, refused GrantRejected, sign-in refused none; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"the application is refused, and a person had declined before": {with(code, sent, signInRefused(v1alpha1.ReasonSignInRequired)), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.ApplicationRejected), true)
		}, `keeps: journal none, refused ApplicationRejected; even if that fails: ApplicationRejected; attempted; fails: ApplicationRejected`},
		"the grant is refused, and the application of a code had been before": {with(deviceCode, sent, signInRefused(v1alpha1.ReasonApplicationRejected)), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		}, `keeps: journal none, refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"a last resort is refused, and a person has declined since the answer was lost": {with(code, sent, signInRefused(v1alpha1.ReasonSignInRequired), func(f *facts.Facts) {
			f.Custody.Journal.Lost = true
		}), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true)
		}, `keeps: journal none, refused GrantRejected; even if that fails: GrantRejected; attempted; fails: GrantRejected`},
		"the platform says that it has not acted": {with(importing, func(f *facts.Facts) { f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1} }),
			func(f facts.Facts) lifecycle.Change {
				return lifecycle.AfterFailure(f, rejection(answer.Throttled), true)
			},
			`keeps: journal none; even if that fails: RateLimited; attempted; fails: RateLimited`},
		"a login without an error code": {with(v1alpha1.GrantPassword), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, &answer.Error{Kind: answer.Unavailable, Status: 403}, true)
		}, `keeps: ; even if that fails: MarketplaceUnavailable; attempted; fails: MarketplaceUnavailable`},

		"a clock that was set back": {with(importing, func(f *facts.Facts) {
			f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon.Add(time.Hour), Attempts: 1, Lost: true}
		}), lifecycle.CountRest, `stores: `},
		"a clock that was set back while a login waits": {with(v1alpha1.GrantPassword, doubted(time.Hour)), lifecycle.CountRest, `stores: `},
		"what could not be stored before": {with(importing), func(f facts.Facts) lifecycle.Change {
			next := f.Custody
			next.Serial, next.RefreshToken, next.Tokens = 5, "next RT", tokens("next AT")
			return lifecycle.StorePending(f, next)
		}, `stores: serial 5, refresh token next RT; obtained`},
		"a refusal that could not be stored before": {with(importing), func(f facts.Facts) lifecycle.Change {
			next := f.Custody
			next.Refused = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected}
			return lifecycle.StorePending(f, next)
		}, `stores: refused GrantRejected`},

		"a sign-in": {with(code), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("17", false)) },
			`stores: serial 5, refresh token next RT; obtained; sign-in completed`},
		"a sign-in while the marketplace demands to wait, which it answers all the same": {with(code, demanded), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("17", false)) },
			`stores: serial 5, refresh token next RT, not before 0001-01-01 00:00:00 +0000 UTC; obtained; sign-in completed`},
		"a sign-in that brings no refresh token": {with(code), func(f facts.Facts) lifecycle.Change {
			got := consent("17", false)
			got.RefreshToken = ""
			return lifecycle.AfterConsent(f, got)
		}, `stores: serial 5; obtained; sign-in completed`},
		"a sign-in as another seller": {with(code), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("5", false)) },
			`stores: sign-in refused AccountMismatch 5; rejected; revokes next RT; sign-in rejected`},
		"a sign-in as another seller where there is no other grant": {with(code, dead, expects("17")), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("5", false)) },
			`stores: sign-in refused AccountMismatch 5; attempted; rejected; fails: AccountMismatch; revokes next RT`},
		"a sign-in as another seller at a browser": {with(code, dead, expects("17"), func(f *facts.Facts) { f.Visiting, f.RetryTicket = true, "again" }),
			func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("5", false)) },
			`stores: sign-in refused AccountMismatch 5, tickets 1; rejected; revokes next RT; sign-in rejected`},
		"a sign-in of whom nobody knows": {with(code), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("", false)) },
			`stores: candidate next RT of `},
		"a sign-in whose ID token cannot be verified yet": {with(code), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, consent("17", true)) },
			`stores: candidate next RT of 17`},

		"the issuer's keys still cannot be had": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIDToken(f, rejection(answer.Unavailable))
		}, `even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 5m0s`},
		"the ID token is not the issuer's": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIDToken(f, rejection(answer.GrantRejected))
		}, `stores: candidate none, sign-in refused SignInRequired; dropped: SignInRequired`},
		"the ID token is the issuer's": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			change := lifecycle.AfterIDToken(f, nil)
			if f, _, _ := change.Stored(f, f.Custody); !f.Verified {
				t.Error("it would be verified again")
			}
			return change
		}, ``},
		"the keys did not come before the end": {with(code, candidate(2, ""), ended), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIDToken(f, rejection(answer.Unavailable))
		}, `stores: candidate none, sign-in refused SignInRequired; dropped: SignInRequired`},

		"a candidate of the expected seller": {with(code, candidate(2, "17")), lifecycle.DecideOnCandidate,
			`stores: serial 5, refresh token new RT, candidate none; obtained; sign-in completed`},
		"a candidate of the expected seller, since which the marketplace demands to wait": {with(code, candidate(2, "17"), demanded), lifecycle.DecideOnCandidate,
			`stores: serial 5, refresh token new RT, candidate none; obtained; sign-in completed`},
		"a candidate whose seller nobody told in time": {with(code, candidate(2, ""), ended), lifecycle.DecideOnCandidate,
			`stores: candidate none, sign-in refused SignInRequired; dropped: SignInRequired`},
		"an import of another application whose seller nobody told in time": {with(importing, candidate(0, ""), ended, func(f *facts.Facts) { f.Custody.Candidate.ClientID = "another" }), lifecycle.DecideOnCandidate,
			`keeps: candidate none, import refused AccountMismatch; even if that fails: AccountMismatch; attempted; fails: AccountMismatch`},
		"an import that can be sent again, whose seller nobody told in time": {with(importing, candidate(0, ""), ended, func(f *facts.Facts) { f.Request.Platform.Rotating = false }), lifecycle.DecideOnCandidate,
			`stores: candidate none`},
		"an import of the expected seller": {with(importing, candidate(0, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{ID: "17"}, nil)
		}, `keeps: serial 5, refresh token new RT, identified true, candidate none; obtained`},
		"an import of the expected seller, since which the marketplace demands to wait": {with(importing, candidate(0, ""), demanded), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{ID: "17"}, nil)
		}, `keeps: serial 5, refresh token new RT, identified true, candidate none; obtained`},
		"an import of another seller, as the identity request tells": {with(importing, candidate(0, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{ID: "5"}, nil)
		}, `keeps: candidate new RT of 5; even if that fails: AccountMismatch; attempted; fails: AccountMismatch`},
		"a sign-in of another seller, as the identity request tells": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{ID: "5"}, nil)
		}, `stores: candidate none, sign-in refused AccountMismatch 5; rejected; revokes new RT; sign-in rejected`},
		"the identity request is not answered": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{}, gone)
		}, `even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 5m0s`},
		"the identity request refuses a token, whose end will tell": {with(code, candidate(2, "")), refusedToken,
			`even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 5m0s`},
		"the identity request refuses a token of a sign-in, which came ahead of a clock that was set back": {with(code, candidate(2, ""), setBack(time.Hour)), refusedToken,
			`stores: candidate none, sign-in refused SignInRequired; dropped: SignInRequired`},
		"that of an import, which can be sent again": {with(importing, candidate(0, ""), setBack(time.Hour), func(f *facts.Facts) { f.Request.Platform.Rotating = false }), refusedToken,
			`stores: candidate none`},
		"the clock was set back by less than an attempt takes": {with(importing, candidate(0, ""), setBack(with(code).AttemptTimeout)), refusedToken,
			`even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 10s`},
		"the identity request is not answered, and the clock was set back": {with(code, candidate(2, ""), setBack(time.Hour)), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{}, gone)
		}, `even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 10s`},
		"the identity request names nobody": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{}, nil)
		}, `even if that fails: MarketplaceUnavailable; fails: MarketplaceUnavailable; looks again in 5m0s`},
		"the identity request is forbidden": {with(code, candidate(2, "")), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{}, &answer.IdentityError{Status: 403})
		}, `stores: candidate none, sign-in refused ScopeRejected; dropped: ScopeRejected`},
		"the seller of the tokens in use is told": {with(importing, sellerGone), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{ID: "17"}, nil)
		}, `stores: account 17, identified true`},
		"the seller of the tokens in use is not told": {with(importing, sellerGone), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIdentity(f, answer.Identity{}, errors.New("no"))
		}, ``},

		"a test that the marketplace passes": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterTest(f, answer.Identity{ID: "17"}, nil)
		},
			`stores: identified true, tested, 0 refusals, ""; handled`},
		"a test that tells another seller": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterTest(f, answer.Identity{ID: "5"}, nil)
		},
			`stores: tested, 0 refusals, "the access token belongs to account 5, expected is 17"; handled`},
		"a test that nobody answers": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterTest(f, answer.Identity{}, &answer.IdentityError{Why: "it is closed"})
		}, `stores: tested, 0 refusals, "testing the connection: it is closed"; handled`},
		"a test that refuses the token for the first time, of which a renewal may tell more": {with(importing), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterTest(f, answer.Identity{}, &answer.IdentityError{Status: 401})
		}, `handled`},
		"a test of what cannot be tested": {with(importing), lifecycle.TestUnsupported,
			`stores: tested, 0 refusals, "there is no call that tests it; tokenkeeper.dev/renew tests it by a renewal"; handled`},
		"a test that refuses the token": {with(importing), lifecycle.AfterRefusedToken, `stores: tested, 1 refusals, "the marketplace refuses the access token"`},

		"a code": {with(deviceCode, dead), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterCode(f, answer.DeviceCode{Code: "device", ExpiresAt: noon.Add(time.Hour)})
		}, `stores: code device until 13:00`},
		"a code that somebody has asked for": {with(deviceCode, device, signInAsked), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterCode(f, answer.DeviceCode{Code: "next", CompleteURL: "https://allegro.example/next", ExpiresAt: noon.Add(time.Hour)})
		}, `stores: code next until 13:00; handled`},
		"no code, where there is no grant": {with(deviceCode, dead), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterNoCode(f, rejection(answer.ApplicationRejected))
		},
			`stores: sign-in refused ApplicationRejected; even if that fails: ApplicationRejected; attempted; fails: ApplicationRejected`},
		"no code, where the grant goes on": {with(deviceCode, signInAsked), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterNoCode(f, rejection(answer.ScopeRejected)) },
			`stores: sign-in refused ScopeRejected; handled`},
		"a code that was declined": {with(deviceCode, dead, device), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterEndedCode(f, &answer.Error{Kind: answer.ConsentDenied})
		}, `stores: sign-in refused SignInRequired, code none; even if that fails: SignInRequired; fails: SignInRequired`},
		"a code that was declined while a grant goes on": {with(deviceCode, device), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterEndedCode(f, &answer.Error{Kind: answer.ConsentDenied})
		}, `stores: sign-in refused SignInRequired, code none`},
		"a code that the platform ended early": {with(deviceCode, dead, device), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterEndedCode(f, &answer.Error{Kind: answer.CodeExpired})
		}, `stores: code none, code ended early`},
		"a code that expired": {with(deviceCode, dead, device, func(f *facts.Facts) { f.Now = noon.Add(59 * time.Minute) }), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterEndedCode(f, &answer.Error{Kind: answer.CodeExpired})
		}, `stores: code device until 12:59`},
		"a code that is refused with the application": {with(deviceCode, dead, device), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterEndedCode(f, &answer.Error{Kind: answer.ApplicationRejected})
		}, `stores: sign-in refused ApplicationRejected, code none; even if that fails: ApplicationRejected; fails: ApplicationRejected`},
		"the last of the codes that nobody used": {with(deviceCode, dead, device, func(f *facts.Facts) { f.Custody.SignIn.Unattended = facts.MaxUnattended - 1 }), func(f facts.Facts) lifecycle.Change {
			kept, ask := lifecycle.BeforeCode(f)
			if ask {
				t.Error("another one is asked for")
			}
			return lifecycle.Keep(kept)
		}, `stores: code none, unattended 12`},
		"a link": {with(code, dead), func(f facts.Facts) lifecycle.Change {
			change, _ := lifecycle.AfterOffer(f, "ticket", time.Hour, false)
			return change
		}, `stores: tickets 1`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(test.facts, test.event(test.facts)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTheCodeAtHandBeforeAnother(t *testing.T) {
	for name, test := range map[string]struct {
		changes []change
		ask     bool
		want    string
	}{
		"there is none":                {[]change{dead}, true, ""},
		"nobody used it":               {[]change{dead, device}, true, "code none, unattended 1"},
		"nobody used any of the night": {[]change{dead, device, func(f *facts.Facts) { f.Custody.SignIn.Unattended = facts.MaxUnattended - 1 }}, false, "code none, unattended 12"},
		"it was too short for anybody": {[]change{dead, device, func(f *facts.Facts) { f.Custody.SignIn.Device.ExpiresAt = noon.Add(-30 * time.Second) }}, false, "code none, code ended early"},
		"somebody asks for another":    {[]change{device, signInAsked}, true, "code none"},
	} {
		t.Run(name, func(t *testing.T) {
			f := with(v1alpha1.GrantDeviceCode, test.changes...)
			kept, ask := lifecycle.BeforeCode(f)
			if got := difference(f.Custody, kept); got != test.want || ask != test.ask {
				t.Errorf("got %q, asks %t; want %q, %t", got, ask, test.want, test.ask)
			}
		})
	}
}

func TestTheKeyOfRefusalsStays(t *testing.T) {
	first, second := make([]byte, 32), make([]byte, 32)
	first[0], second[0] = 1, 2
	for name, test := range map[string]struct{ held, drawn, want []byte }{
		"there is one":            {first, second, first},
		"there is none yet":       {nil, second, second},
		"there is no randomness":  {nil, nil, nil},
		"there is one, all alone": {first, nil, first},
	} {
		t.Run(name, func(t *testing.T) {
			f := with(v1alpha1.GrantRefreshToken, func(f *facts.Facts) { f.Custody.RefusalKey, f.NewKey = test.held, test.drawn })
			kept := lifecycle.AfterFailure(f, rejection(answer.GrantRejected), true).Store
			if diff := cmp.Diff(test.want, kept.RefusalKey); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if kept.Refused.Versioned() != (test.want == nil) {
				t.Errorf("the refusal is %+v", kept.Refused)
			}
		})
	}
}
