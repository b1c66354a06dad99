package lifecycle

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// Issued holds the tokens that the marketplace gave.
type Issued struct {
	answer.Tokens
	// Account is the account of the tokens, as far as answer and claims tell.
	Account custody.Account
	// Subject is issuer and sub of the ID token; empty where there is none.
	Subject string
	// ByPreviousSecret tells that client_secret_previous was accepted.
	ByPreviousSecret bool
}

// RenewedAsOther tells that a renewal brought tokens of another account than the expected one: by the account in the answer, or by the
// subject of the ID token, which stays the same as long as its issuer does.
func RenewedAsOther(f facts.Facts, got Issued) bool {
	if got.Account.ID != "" && !f.ExpectsAccount(got.Account) {
		return true
	}
	if got.Account.ID != "" && got.Account.ID == f.Account.Spec.AccountID {
		return false
	}
	was, is := strings.Fields(f.Custody.Subject), strings.Fields(got.Subject)
	return len(was) > 1 && len(is) > 1 && was[0] == is[0] && f.Custody.Subject != got.Subject
}

// UnreadableLife is the longest life of an access token when the marketplace tells its end in a way that cannot be read: less than
// any platform gives, and more than a renewal takes.
const UnreadableLife = 10 * time.Minute

// GrantOf is the grant with the tokens that were issued.
func GrantOf(f facts.Facts, got Issued) custody.Grant {
	next := f.Custody.Grant
	if imported := f.NewImport(); imported != "" && f.EndedCandidate() != nil {
		next = *f.EndedCandidate()
	} else if imported != "" || next.GrantedAt.IsZero() {
		next.GrantedAt = f.Request.Imported.GrantedAt
		if next.GrantedAt.IsZero() || next.GrantedAt.After(f.Now) { // a consent is never later than now
			next.GrantedAt = f.Now
		}
		next.AuthorizationExpiresAt, next.AuthorizationMaxExpiresAt, next.Published = time.Time{}, time.Time{}, nil
		next.Imported = imported
		next.Account, next.Identified = custody.Account{}, false
		next.Consent, next.Asked, next.Subject = 0, nil, ""
	}
	if got.Subject != "" {
		next.Subject = got.Subject
	}
	if told := got.AuthorizationExpiresAt; !told.IsZero() || f.Request.Platform.AuthorizationSlides || got.AuthorizationEndUnreadable {
		next.AuthorizationExpiresAt, next.AuthorizationEndUnreadable = told, got.AuthorizationEndUnreadable
	}
	if told := got.AuthorizationMaxExpiresAt; !told.IsZero() {
		next.AuthorizationMaxExpiresAt = told
	}
	next.Published = next.Publish(got.Published)
	if f.Request.RenewsByRefreshToken() { // a login is renewed by logging in; the refresh token of another grant stays
		next.RefreshToken, next.Unproven = got.RefreshToken, false
		next.ClientID, next.From = f.Request.Application.ClientID, f.Request.Origin()
	} else {
		next.Consent, next.Asked = 0, nil
	}
	if got.Account.ID != next.Account.ID && (got.Account.ID != "" || f.ForOtherSpec() && !f.Request.RenewsByRefreshToken()) {
		next.Account = got.Account
	}
	next.Tokens = tokensOf(f, got)
	return next
}

// ConsentOf is the grant that a sign-in has brought.
func ConsentOf(f facts.Facts, got Issued, asked []string) custody.Grant {
	asked = slices.Clone(asked)
	if asked == nil {
		asked = []string{} // known to have been asked for: nothing by name
	}
	return custody.Grant{
		RefreshToken:               got.RefreshToken,
		ClientID:                   f.Request.Application.ClientID,
		From:                       f.Request.Origin(),
		Asked:                      asked,
		GrantedAt:                  got.IssuedAt.UTC().Truncate(time.Second),
		AuthorizationExpiresAt:     got.AuthorizationExpiresAt,
		AuthorizationEndUnreadable: got.AuthorizationEndUnreadable,
		AuthorizationMaxExpiresAt:  got.AuthorizationMaxExpiresAt,
		Published:                  custody.Grant{}.Publish(got.Published),
		Account:                    got.Account,
		Subject:                    got.Subject,
		Tokens:                     tokensOf(f, got),
	}
}

// tokensOf are the tokens in the custody, of tokens that were issued.
func tokensOf(f facts.Facts, got Issued) *custody.Tokens {
	end, withheld := got.ExpiresAt, uselessIDToken(f, got)
	if withheld != "" {
		end = got.AccessTokenExpiresAt
	}
	return &custody.Tokens{
		AccessToken:     got.AccessToken,
		IDToken:         got.IDToken,
		IDTokenWithheld: withheld,
		TokenType:       got.TokenType,
		Scope:           got.Scope,
		For:             f.Request.Key,
		IssuedAt:        got.IssuedAt.UTC().Truncate(time.Second),
		ExpiresAt:       end.UTC(),
		EndUnreadable:   got.EndUnreadable,
		RenewAt:         f.Policy().RenewAt(got.IssuedAt, end, renewal.Spread(string(f.Account.UID))).UTC(),
	}
}

// idTokenLeeway is how far the clock of an issuer may be ahead of ours.
const idTokenLeeway = time.Minute

// uselessIDToken says why an ID token is of no use, by its own claims; empty where it may be of use.
func uselessIDToken(f facts.Facts, got Issued) string {
	life := got.AccessTokenExpiresAt.Sub(got.IssuedAt)
	held := f.Custody.Tokens
	switch {
	case got.IDToken == "":
		return ""
	case !got.IDTokenExpiresAt.IsZero() && got.IDTokenExpiresAt.Before(got.IssuedAt.Add(-idTokenLeeway)):
		return "it had expired when it came"
	case held != nil && held.IDToken == got.IDToken && got.IDTokenExpiresAt.Before(got.IssuedAt.Add(life/2)):
		return "it is the one of before, which renewals do not prolong" // and which they would be made for more and more often
	}
	return ""
}
