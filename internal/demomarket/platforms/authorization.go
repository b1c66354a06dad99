package platforms

import (
	"slices"
	"time"
)

// Authorization says how a platform's authorization requests, its codes and its callbacks differ from RFC 6749
// section 4.1.
type Authorization struct {
	// CodeLifetime is how long a code waits to be exchanged.
	CodeLifetime time.Duration
	// CodePrefix begins every code.
	CodePrefix string
	// PKCE says whether code challenges are understood.
	PKCE PKCE
	// VerifierForSecret lets a code_verifier stand in for the client secret when a code is exchanged.
	VerifierForSecret bool
	// Prompts are the values of prompt that are understood; other values are ignored. The package knows none, login, consent
	// and select_account (OpenID Connect Core section 3.1.2.1), and confirm, which is Allegro's select_account.
	Prompts []string

	// ClientParameter names the application in the request. Empty means client_id.
	ClientParameter string
	// Untyped requests have neither response_type nor scope, and are refused with either.
	Untyped bool
	// RedirectOptional lets requests and exchanges go without redirect_uri, which then is the first one registered.
	RedirectOptional bool
	// Draft is a parameter that the requests of a draft application must have, and the requests of a published one must not.
	Draft ParameterRule

	// CodeParameter names the code in the callback. Empty means code.
	CodeParameter string
	// SellerParameter names the seller's id in the callback. Empty means that it does not tell.
	SellerParameter string
	// IssuerParameter adds iss to the callback (RFC 9207).
	IssuerParameter bool
	// CodeExpiry adds the code's lifetime to the callback, as expires_in.
	CodeExpiry bool
	// Echo repeats parameters of the request that are not known here in the callback.
	Echo bool
	// RuNames makes redirect_uri a name for two addresses (see [Market.AddRuName]). A person who denied is sent to the
	// second as it was registered, with nothing added.
	RuNames bool
	// JSONErrors answers requests in eBay's JSON that cannot be answered by a callback.
	JSONErrors bool
}

// PKCE says how a platform treats code challenges (RFC 7636). Of the methods it knows S256 alone.
type PKCE int

const (
	// NoPKCE ignores challenges and verifiers.
	NoPKCE PKCE = iota
	// OptionalPKCE lets confidential applications go without, but not public ones (RFC 9700 section 2.1.1).
	OptionalPKCE
	// RequiredPKCE lets no application go without.
	RequiredPKCE
)

// Understands tells whether the platform knows a value of prompt.
func (a Authorization) Understands(prompt string) bool { return slices.Contains(a.Prompts, prompt) }

// ParameterRule is a parameter that a token request must or must not have.
type ParameterRule struct {
	// Grant is the grant type that the rule is about. Empty means all.
	Grant string
	// Name is the parameter.
	Name string
	// Value is the only one accepted. Empty means any.
	Value string
	// Forbidden turns the rule round: the parameter must be absent.
	Forbidden bool
}
