package exchange

import (
	"fmt"
	"reflect"
	"time"
)

// Action is the kind of a step.
type Action string

// The actions. Each is one request at most.
const (
	// SignIn sends a browser to the platform, and reads the callback that it brings back.
	SignIn Action = "SignIn"
	// ExchangeCode asks for tokens with the code that a browser brought back.
	ExchangeCode Action = "ExchangeCode"
	// StartDevice asks for a device code, and PollDevice for tokens with it.
	StartDevice Action = "StartDevice"
	PollDevice  Action = "PollDevice"
	// LogIn asks for tokens with user name and password.
	LogIn Action = "LogIn"
	// AskAsApplication asks for a token of the application itself.
	AskAsApplication Action = "AskAsApplication"
	// Renew asks for tokens with a refresh token.
	Renew Action = "Renew"
	// Identify asks for the account of the access token.
	Identify Action = "Identify"
	// Revoke ends the grant.
	Revoke Action = "Revoke"
	// Discover reads the issuer's document.
	Discover Action = "Discover"
	// Resolve asks nothing: it fills in the Marketplace's addresses, or tells facts of the platform.
	Resolve Action = "Resolve"
)

// Ask is the question of a step. Fields that are not set are as in the step before.
type Ask struct {
	// Do is the kind of the step.
	Do Action `json:"do,omitempty"`
	// After is how much time has passed since the step before.
	After Duration `json:"after,omitempty"`

	// Grant, Environment, Parameters and Scopes are the account's; by default its environment is Production.
	Grant       string            `json:"grant,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	Scopes      []string          `json:"scopes,omitempty"`
	// AccountID is spec.accountID, or else the account that is known by now.
	AccountID string `json:"accountID,omitempty"`
	// Application are the keys of the application's Secret; client_id and client_secret have defaults.
	Application map[string]string `json:"application,omitempty"`

	// State, Nonce and Verifier are drawn for a sign-in, and would differ each time.
	State    string `json:"state,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	Verifier string `json:"verifier,omitempty"`

	// Username and Password are for LogIn.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// Code, DeviceCode, AccessToken and RefreshToken are sent; by default the ones that the steps before have brought.
	Code         string `json:"code,omitempty"`
	DeviceCode   string `json:"deviceCode,omitempty"`
	AccessToken  string `json:"accessToken,omitempty"`
	RefreshToken string `json:"refreshToken,omitempty"`
	// GrantedAgo is how long ago the consent behind RefreshToken was given.
	GrantedAgo Duration `json:"grantedAgo,omitempty"`
}

// Then is the Ask of the step after one with a, where the file says no more than next.
func (a Ask) Then(next Ask) Ask {
	into, from := reflect.ValueOf(&a).Elem(), reflect.ValueOf(next)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			into.Field(i).Set(from.Field(i))
		}
	}
	a.Do, a.After = next.Do, next.After
	return a
}

// Duration is a span in Go's notation.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration", text)
	}
	*d = Duration(span)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// IsZero tells a duration that is not set.
func (d Duration) IsZero() bool { return d == 0 }
