package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// TestWhatCanOnlyBeWaitedFor is looked at again after ten seconds, and later the longer it takes; but never later than the token allows.
func TestWhatCanOnlyBeWaitedFor(t *testing.T) {
	short := func(f *facts.Facts) { f.Custody.Tokens.ExpiresAt = noon.Add(2 * time.Minute) }
	for name, test := range map[string]struct {
		facts facts.Facts
		ago   time.Duration
		want  time.Duration
	}{
		"at first":             {with(v1alpha1.GrantRefreshToken), 0, 10 * time.Second},
		"after two minutes":    {with(v1alpha1.GrantRefreshToken), 2 * time.Minute, 30 * time.Second},
		"after an hour":        {with(v1alpha1.GrantRefreshToken), time.Hour, 5 * time.Minute},
		"where the token ends": {with(v1alpha1.GrantRefreshToken, short), time.Hour, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.RecheckAfter(test.facts, noon.Add(-test.ago)); got != test.want {
				t.Errorf("in %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhoseTokensAreAskedFor(t *testing.T) {
	if got := lifecycle.TokenToIdentify(with(v1alpha1.GrantRefreshToken)); got != "AT" {
		t.Errorf("of the grant in use: %s", got)
	}
	if got := lifecycle.TokenToIdentify(with(v1alpha1.GrantAuthorizationCode, candidate(2, ""))); got != "new AT" {
		t.Errorf("of a grant that waits: %s", got)
	}
	f := with(v1alpha1.GrantAuthorizationCode, candidate(2, ""))
	for want, failure := range map[string]error{
		"and it is not used before: the answer names no account": nil,
		"and it is not used before: connection refused":          errors.New("connection refused"),
	} {
		o := lifecycle.AfterIdentity(f, answer.Identity{}, failure).NotStored()
		if o.Failure == nil || !strings.HasSuffix(o.Failure.Message, want) {
			t.Errorf("it is told: %+v, want %s", o.Failure, want)
		}
	}
	// Another sign-in can ask for another scope; of an import, which a person made elsewhere, the marketplace is asked until its tokens end.
	if change := lifecycle.AfterIdentity(with(v1alpha1.GrantRefreshToken, candidate(0, "")), answer.Identity{}, &answer.IdentityError{Status: 403}); change.Store != nil {
		t.Error("an import is dropped since the identity request is forbidden")
	}
	if !lifecycle.TestSupported(with(v1alpha1.GrantRefreshToken)) || lifecycle.TestSupported(with(v1alpha1.GrantRefreshToken, nameless)) ||
		lifecycle.TestSupported(with(v1alpha1.GrantClientCredentials)) {
		t.Error("an identity request tests any tokens but an application's own")
	}
}

// TestARefusalIsBelievedTheSecondTime, a minute after the first: one alone is a mishap.
func TestARefusalIsBelievedTheSecondTime(t *testing.T) {
	before := func(refusals int, ago time.Duration) change {
		return func(f *facts.Facts) {
			f.Custody.Verified = &custody.Verification{At: noon.Add(-ago), Refusals: refusals}
		}
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		want  int
	}{
		"the first one":                      {with(v1alpha1.GrantRefreshToken), 1},
		"after a test that it passed":        {with(v1alpha1.GrantRefreshToken, before(0, time.Hour)), 1},
		"a minute after a refusal":           {with(v1alpha1.GrantRefreshToken, before(1, time.Minute)), 2},
		"less than a minute after a refusal": {with(v1alpha1.GrantRefreshToken, before(1, 59*time.Second)), 1},
		"after two refusals":                 {with(v1alpha1.GrantRefreshToken, before(2, time.Hour)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.AfterRefusedToken(test.facts).Store.Verified.Refusals; got != test.want {
				t.Errorf("%d refusals, want %d", got, test.want)
			}
		})
	}
}

// TestTheSellerThatATestTells: it brings the name that people know, and is first to tell the seller where nobody has.
func TestTheSellerThatATestTells(t *testing.T) {
	knows := func(id, by string) change {
		return func(f *facts.Facts) { f.Custody.Account = custody.Account{ID: id, By: by} }
	}
	told := answer.Identity{ID: "17", Login: "my-shop"}
	for name, test := range map[string]struct {
		facts facts.Facts
		told  answer.Identity
		want  custody.Account
	}{
		"the seller that is known, by another source":    {with(v1alpha1.GrantRefreshToken, knows("17", "claim")), told, custody.Account{ID: "17", Login: "my-shop", By: "claim"}},
		"the seller that is known, by nobody knows what": {with(v1alpha1.GrantRefreshToken, knows("17", "")), told, custody.Account{ID: "17", Login: "my-shop", By: "identity request"}},
		"the first to tell a seller":                     {with(v1alpha1.GrantRefreshToken, knows("", "")), told, custody.Account{ID: "17", Login: "my-shop", By: "identity request"}},
		"another name for the seller":                    {with(v1alpha1.GrantRefreshToken, knows("shop-17", "claim")), told, custody.Account{ID: "shop-17", By: "claim"}},
		"nobody":                                         {with(v1alpha1.GrantRefreshToken, knows("17", "claim")), answer.Identity{Login: "my-shop"}, custody.Account{ID: "17", By: "claim"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.AfterTest(test.facts, test.told, nil).Store.Account; got != test.want {
				t.Errorf("the seller is %+v, want %+v", got, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		failure     error
		unreachable bool
	}{
		"refused":   {&answer.IdentityError{Status: 403}, false},
		"throttled": {&answer.IdentityError{Status: 429}, true},
		"down":      {&answer.IdentityError{Status: 503}, true},
	} {
		kept := lifecycle.AfterTest(with(v1alpha1.GrantRefreshToken), answer.Identity{}, test.failure).Store.Verified
		if kept.Failure == "" || kept.Unreachable != test.unreachable {
			t.Errorf("%s: %+v", name, kept)
		}
	}
}

// TestWhetherARenewalBroughtAnothersTokens, by what the answer names or by the subject of the ID token (cases C61).
func TestWhetherARenewalBroughtAnothersTokens(t *testing.T) {
	got := func(seller, subject string) lifecycle.Issued {
		return lifecycle.Issued{Account: custody.Account{ID: seller, By: "claim"}, Subject: subject}
	}
	seen := func(seller, subject string) change {
		return func(f *facts.Facts) {
			f.Custody.Account, f.Custody.Subject = custody.Account{ID: seller, By: "claim"}, subject
		}
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		got   lifecycle.Issued
		want  bool
	}{
		"the same seller":                                   {with(v1alpha1.GrantRefreshToken, seen("17", "")), got("17", ""), false},
		"another seller":                                    {with(v1alpha1.GrantRefreshToken, seen("17", "")), got("5", ""), true},
		"nobody is named":                                   {with(v1alpha1.GrantRefreshToken, seen("17", "")), got("", ""), false},
		"another seller than the spec names":                {with(v1alpha1.GrantRefreshToken, seen("17", ""), expects("17")), got("5", ""), true},
		"the same subject":                                  {with(v1alpha1.GrantRefreshToken, seen("", "issuer one")), got("", "issuer one"), false},
		"another subject":                                   {with(v1alpha1.GrantRefreshToken, seen("", "issuer one")), got("", "issuer two"), true},
		"another subject of another issuer":                 {with(v1alpha1.GrantRefreshToken, seen("", "issuer one")), got("", "elsewhere two"), false},
		"another subject of the seller that the spec names": {with(v1alpha1.GrantRefreshToken, seen("", "issuer one"), expects("17")), got("17", "issuer two"), false},
		"another subject of the seller that was seen first": {with(v1alpha1.GrantRefreshToken, seen("17", "issuer one")), got("17", "issuer two"), true},
		"a subject where there was none":                    {with(v1alpha1.GrantRefreshToken, seen("", "")), got("", "issuer two"), false},
		"no subject where there was one":                    {with(v1alpha1.GrantRefreshToken, seen("", "issuer one")), got("", ""), false},
		"an issuer without a subject before":                {with(v1alpha1.GrantRefreshToken, seen("", "issuer")), got("", "issuer two"), false},
		"an issuer without a subject now":                   {with(v1alpha1.GrantRefreshToken, seen("", "issuer one")), got("", "issuer"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.RenewedAsOther(test.facts, test.got); got != test.want {
				t.Errorf("they are another's: %t", got)
			}
		})
	}
}

// TestWhatAGrantBecomes with the tokens of a renewal, or of a new beginning.
func TestWhatAGrantBecomes(t *testing.T) {
	got := (&market{}).issue("next RT", noon)
	f := with(v1alpha1.GrantRefreshToken, func(f *facts.Facts) {
		f.Custody.Subject, f.Custody.AuthorizationExpiresAt, f.Custody.AuthorizationMaxExpiresAt = "issuer one", noon.Add(time.Hour), noon.Add(2*time.Hour)
	})
	if next := lifecycle.GrantOf(f, got); next.Subject != "issuer one" || !next.AuthorizationExpiresAt.Equal(noon.Add(time.Hour)) || !next.GrantedAt.Equal(noon.Add(-time.Hour)) || next.Account.ID != "17" {
		t.Errorf("what an answer does not tell stays; it is %+v", next)
	}
	got.Subject, got.AuthorizationExpiresAt, got.AuthorizationMaxExpiresAt = "issuer two", noon.Add(3*time.Hour), noon.Add(4*time.Hour)
	if next := lifecycle.GrantOf(f, got); next.Subject != "issuer two" || !next.AuthorizationExpiresAt.Equal(noon.Add(3*time.Hour)) || !next.AuthorizationMaxExpiresAt.Equal(noon.Add(4*time.Hour)) {
		t.Errorf("what an answer tells counts; it is %+v", next)
	}
	f.Request.Imported.RefreshToken, f.Request.Imported.GrantedAt = "second import", noon.Add(time.Hour)
	got = (&market{}).issue("next RT", noon)
	if next := lifecycle.GrantOf(f, got); next.Imported != "second import" || next.Subject != "" || next.Account.ID != "" || !next.GrantedAt.Equal(noon) || !next.AuthorizationMaxExpiresAt.IsZero() {
		t.Errorf("an import begins anew, and nobody consents in the future; it is %+v", next)
	}
	f.Request.Imported.GrantedAt = noon.Add(-24 * time.Hour)
	if next := lifecycle.GrantOf(f, got); !next.GrantedAt.Equal(noon.Add(-24 * time.Hour)) {
		t.Errorf("the user tells when the import was consented to; it is %s", next.GrantedAt)
	}
	waits := with(v1alpha1.GrantRefreshToken, candidate(0, ""), func(f *facts.Facts) {
		f.Custody.Candidate.Tokens.ExpiresAt, f.Custody.Candidate.GrantedAt, f.Custody.Candidate.AuthorizationExpiresAt = noon, noon.Add(-2*time.Hour), noon.Add(time.Hour)
	})
	if next := lifecycle.GrantOf(waits, (&market{}).issue("next RT", noon)); next.Imported != "second import" || next.RefreshToken != "next RT" || !next.GrantedAt.Equal(noon.Add(-2*time.Hour)) ||
		!next.AuthorizationExpiresAt.Equal(noon.Add(time.Hour)) || next.Account.ID != "" {
		t.Errorf("an import that nobody knew in time goes on; it is %+v", next)
	}
	waits.Custody.ImportJournal = &custody.Journal{Imported: "second import", Lost: true}
	if next := lifecycle.GrantOf(waits, (&market{}).issue("next RT", noon)); next.Imported != "import" || next.Account.ID != "17" {
		t.Errorf("while that rests, the grant in use goes on; it is %+v", next)
	}
	got.IDToken, got.ExpiresAt, got.IDTokenExpiresAt = "id token", noon.Add(time.Hour), noon.Add(time.Hour)
	if next := lifecycle.GrantOf(f, got); !next.Tokens.ExpiresAt.Equal(noon.Add(time.Hour)) || next.Tokens.IDTokenWithheld != "" {
		t.Errorf("tokens end with the first of them, and not at %s", next.Tokens.ExpiresAt)
	}
	got.ExpiresAt, got.IDTokenExpiresAt = noon.Add(-time.Hour), noon.Add(-time.Hour)
	if next := lifecycle.GrantOf(f, got); !next.Tokens.ExpiresAt.Equal(noon.Add(12*time.Hour)) || next.Tokens.IDTokenWithheld == "" {
		t.Errorf("an ID token that is not published ends nothing; the tokens end at %s", next.Tokens.ExpiresAt)
	}
	if lifecycle.UnreadableLife != 10*time.Minute { // cases C51
		t.Errorf("a token whose end cannot be read counts for %s", lifecycle.UnreadableLife)
	}
}
