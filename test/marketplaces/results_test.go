package marketplaces_test

import (
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// tokens are the tokens of an answer, as the operator counts and publishes it. Spans count from when the request was sent.
type tokens struct {
	AccessToken string `json:"access_token"`
	// RefreshToken is the one to send next.
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	// Missing are scopes that the account asks for and does not have.
	Missing []string `json:"missing,omitempty"`
	// Account is the account of the tokens, and Login the name that people know, as far as this answer or the callback tells.
	Account string `json:"account,omitempty"`
	Login   string `json:"login,omitempty"`
	// Expires is how long the access token lives, not set where it does not end, and Ends how long the first of the tokens does, where that is another.
	Expires exchange.Duration `json:"expires,omitempty"`
	Ends    exchange.Duration `json:"ends,omitempty"`
	// Renewed is after how long the tokens are renewed at the latest.
	Renewed exchange.Duration `json:"renewed,omitempty"`
	// Authorization is how long it takes until a person must consent again; not set where nothing ends.
	Authorization exchange.Duration `json:"authorization,omitempty"`
	// Published are the further keys of the token Secret that have a value.
	Published map[string]string `json:"published,omitempty"`
	// Unreadable tells which ends are told in a way that cannot be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// refused is the result of a request that brought nothing.
type refused struct {
	// Kind is the meaning of the failure, Code the platform's, and Message the text for people beside it.
	Kind           string            `json:"kind"`
	Code           string            `json:"code,omitempty"`
	Status         int               `json:"status,omitempty"`
	Message        string            `json:"message,omitempty"`
	RetryAfter     exchange.Duration `json:"retry_after,omitempty"`
	OutcomeUnknown bool              `json:"outcome_unknown,omitempty"`
}

// lost is the result of a request without an answer.
type lost struct {
	Kind           string `json:"kind"`
	OutcomeUnknown bool   `json:"outcome_unknown"`
	// Again is until when the same request is made once more.
	Again string `json:"again"`
}

// identified is the account of an access token.
type identified struct {
	ID    string `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
}

// device is a device code.
type device struct {
	DeviceCode  string            `json:"device_code"`
	UserCode    string            `json:"user_code"`
	URL         string            `json:"url"`
	CompleteURL string            `json:"complete_url,omitempty"`
	Expires     exchange.Duration `json:"expires"`
	Interval    exchange.Duration `json:"interval"`
}

// revoked is the end of a grant.
type revoked struct{}

// consent is the answer that a browser brought back.
type consent struct {
	Code    string `json:"code,omitempty"`
	Account string `json:"account,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
}

// endpoints are the endpoints that an issuer's document names.
type endpoints struct {
	Authorization string `json:"authorization,omitempty"`
	Device        string `json:"device,omitempty"`
	Token         string `json:"token,omitempty"`
	Revocation    string `json:"revocation,omitempty"`
}

// addresses are where requests of one account go.
type addresses struct {
	Environment string            `json:"environment,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`

	Issuer        string `json:"issuer,omitempty"`
	Authorization string `json:"authorization,omitempty"`
	Device        string `json:"device,omitempty"`
	Token         string `json:"token,omitempty"`
	Revocation    string `json:"revocation,omitempty"`
	Identity      string `json:"identity,omitempty"`
	// Refused is why there are none.
	Refused string `json:"refused,omitempty"`
}

// storeRedirect is where a browser is sent that comes from the platform's store.
type storeRedirect struct {
	From    string `json:"from"`
	To      string `json:"to,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// bounds are the facts of the platform that show in no exchange.
type bounds struct {
	ClientSecretLifetime exchange.Duration `json:"client_secret_lifetime,omitempty"`
	RequestsPerSecond    int               `json:"requests_per_second"`
	Concurrency          int               `json:"concurrency"`
}
