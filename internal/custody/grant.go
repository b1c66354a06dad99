package custody

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Grant is the right to tokens that began with a consent, a login or an imported refresh token.
type Grant struct {
	// RefreshToken is the one to use next; empty where the grant has none.
	RefreshToken string `json:"refreshToken,omitempty"`
	// Imported is the refresh token that the user brought and this grant began with. As long as the user's
	// Secret still holds it, RefreshToken is its successor.
	Imported string `json:"imported,omitempty"`
	// Consent is the number of the sign-in that it began with; zero for any other beginning.
	Consent int64 `json:"consent,omitempty"`
	// ClientID is the application that it was given to, and the only one that can renew it.
	ClientID string `json:"clientID,omitempty"`
	// From is where it was given; zero where that is not known.
	From Origin `json:"from,omitzero"`
	// Asked are the scopes that the person was asked for; nil when none were named, or no person was asked.
	Asked []string `json:"asked,omitzero"`
	// Unproven tells that it was read from a document that nobody could say the operator had written. Such a refresh token is not sent with an
	// application that the account shares with others.
	Unproven bool `json:"unproven,omitempty"`
	// Unverified tells that its ID token could not be verified yet, of a Candidate.
	Unverified bool `json:"unverified,omitempty"`
	// GrantedAt is when the person consented, or when the grant was first used.
	GrantedAt time.Time `json:"grantedAt,omitzero"`
	// AuthorizationExpiresAt is the end that the marketplace's answer named; zero when it named none.
	AuthorizationExpiresAt time.Time `json:"authorizationExpiresAt,omitzero"`
	// AuthorizationMaxExpiresAt is the end that an answer named and that no renewal moves; zero when none named one.
	AuthorizationMaxExpiresAt time.Time `json:"authorizationMaxExpiresAt,omitzero"`
	// Published are the values that answers and the callback have brought for further keys of the token Secret, sorted by key.
	Published []Published `json:"published,omitempty"`
	// AuthorizationEndUnreadable tells that it named an end in a way that cannot be read.
	AuthorizationEndUnreadable bool `json:"authorizationEndUnreadable,omitempty"`
	// Account is the account that it belongs to, as far as known.
	Account Account `json:"account,omitzero"`
	// Subject is issuer and sub of its ID token, which every renewal repeats (OpenID Connect Core section 12.2); empty where there
	// is none.
	Subject string `json:"subject,omitempty"`
	// Identified tells that an identity request has accepted an access token of this grant.
	Identified bool `json:"identified,omitempty"`
	// Tokens are the current ones; nil when there are none.
	Tokens *Tokens `json:"tokens,omitempty"`
}

// Tokens are the last ones that the marketplace issued.
type Tokens struct {
	AccessToken string `json:"accessToken"`
	IDToken     string `json:"idToken,omitempty"`
	// IDTokenWithheld says why the ID token is not published; empty where it may be.
	IDTokenWithheld string `json:"idTokenWithheld,omitempty"`
	TokenType       string `json:"tokenType,omitempty"`
	Scope           string `json:"scope,omitempty"`
	// For identifies the spec that the tokens were obtained for.
	For       string    `json:"for,omitempty"`
	IssuedAt  time.Time `json:"issuedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// EndUnreadable tells that the marketplace told the end in a way that cannot be read, so that ExpiresAt is early.
	EndUnreadable bool `json:"endUnreadable,omitempty"`
	// RenewAt was drawn when the tokens were stored.
	RenewAt time.Time `json:"renewAt"`
}

// Published is a further key of the token Secret.
type Published struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Publish returns the published keys with these values in the place of former ones, sorted by key.
func (g Grant) Publish(values map[string]string) []Published {
	if len(values) == 0 {
		return g.Published
	}
	var published []Published
	for _, before := range g.Published {
		if _, ok := values[before.Key]; !ok {
			published = append(published, before)
		}
	}
	for key, value := range values {
		published = append(published, Published{key, value})
	}
	slices.SortFunc(published, func(a, b Published) int { return cmp.Compare(a.Key, b.Key) })
	return published
}

// PublishedValues are the published values by their keys.
func (g Grant) PublishedValues() map[string]string {
	all := make(map[string]string, len(g.Published))
	for _, published := range g.Published {
		all[published.Key] = published.Value
	}
	return all
}

// Sub is the account of the ID token as its issuer calls it; empty where there is none.
func (g Grant) Sub() string {
	issuer, sub, both := strings.Cut(g.Subject, " ")
	if !both {
		return issuer
	}
	return sub
}

// Account is the marketplace's account that tokens belong to.
type Account struct {
	ID    string `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
	// By is the source of ID: identifiers of one account that different sources tell need not agree. Empty where it is not known.
	By string `json:"by,omitempty"`
}

// SameSource tells whether the identifiers of two Accounts may be compared.
func (a Account) SameSource(b Account) bool { return a.By == "" || b.By == "" || a.By == b.By }

// Verification is the result of a test of the connection, be it requested or daily.
type Verification struct {
	At time.Time `json:"at"`
	// Failure says why it failed; empty when it did not.
	Failure string `json:"failure,omitempty"`
	// Refusals counts, to two, how often the marketplace refused the access token, a minute apart.
	Refusals int `json:"refusals,omitempty"`
	// Unreachable tells that the marketplace could not be asked, Unsupported that it has no call for it.
	Unreachable bool `json:"unreachable,omitempty"`
	Unsupported bool `json:"unsupported,omitempty"`
}

// Since tells since when a credential has been the same. Tools that set labels make the Secret look younger.
type Since struct {
	// Of is the digest of the credential; of a Marketplace's own application, the version of its Secret.
	Of string    `json:"of"`
	At time.Time `json:"at"`
}
