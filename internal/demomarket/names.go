package demomarket

import (
	"crypto/rsa"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/faults"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// The names of package platforms that tests use, so that they import one package.
type (
	// Facts is that of package platforms.
	Facts = platforms.Facts
	// Outcome is that of package platforms.
	Outcome = platforms.Outcome
	// Platform is that of package platforms.
	Platform = platforms.Platform
	// Refusal is that of package platforms.
	Refusal = platforms.Refusal
	// Response is that of package platforms.
	Response = platforms.Response
	// Seller is that of package platforms.
	Seller = platforms.Seller
)

// The constants of package platforms that tests use.
const (
	AuthorizationEndpoint       = platforms.AuthorizationEndpoint
	Body                        = platforms.Body
	ConfirmationEndpoint        = platforms.ConfirmationEndpoint
	DefaultUser                 = platforms.DefaultUser
	DeviceAuthorizationEndpoint = platforms.DeviceAuthorizationEndpoint
	DeviceEndpoint              = platforms.DeviceEndpoint
	DiscoveryEndpoint           = platforms.DiscoveryEndpoint
	ES256                       = platforms.ES256
	Echo                        = platforms.Echo
	ExpiresInAbsent             = platforms.ExpiresInAbsent
	Faulted                     = platforms.Faulted
	GrantAuthorizationCode      = platforms.GrantAuthorizationCode
	GrantDeviceCode             = platforms.GrantDeviceCode
	GrantPassword               = platforms.GrantPassword
	GrantRefreshToken           = platforms.GrantRefreshToken
	IdentityEndpoint            = platforms.IdentityEndpoint
	InvalidClient               = platforms.InvalidClient
	InvalidCode                 = platforms.InvalidCode
	InvalidGrant                = platforms.InvalidGrant
	InvalidScope                = platforms.InvalidScope
	KeysEndpoint                = platforms.KeysEndpoint
	MFARequired                 = platforms.MFARequired
	OK                          = platforms.OK
	OtherUser                   = platforms.OtherUser
	PasswordLeaked              = platforms.PasswordLeaked
	RequiredPKCE                = platforms.RequiredPKCE
	RevocationEndpoint          = platforms.RevocationEndpoint
	ScopeAlways                 = platforms.ScopeAlways
	ScopeNever                  = platforms.ScopeNever
	ServerError                 = platforms.ServerError
	SlowDown                    = platforms.SlowDown
	Static                      = platforms.Static
	StoreEndpoint               = platforms.StoreEndpoint
	TokenEndpoint               = platforms.TokenEndpoint
	UnsupportedGrant            = platforms.UnsupportedGrant
	UserBlocked                 = platforms.UserBlocked
	UserLocked                  = platforms.UserLocked
	WrongPassword               = platforms.WrongPassword
)

// Allegro is that of package platforms.
func Allegro() Platform { return platforms.Allegro() }

// EBay is that of package platforms.
func EBay() Platform { return platforms.EBay() }

// OIDC is that of package platforms.
func OIDC() Platform { return platforms.OIDC() }

// XSale is that of package platforms.
func XSale() Platform { return platforms.XSale() }

// The names of package judge that tests use.
type (
	// Report is that of package judge.
	Report = judge.Report
	// CodeTally is that of package judge.
	CodeTally = judge.CodeTally
	// Request is that of package judge.
	Request = judge.Request
)

// SharedKey is that of package wire.
func SharedKey() *rsa.PrivateKey { return wire.SharedKey() }

// The names of package faults that tests use.
type (
	// Fault is that of package faults.
	Fault = faults.Fault
	// Injected is that of package faults.
	Injected = faults.Injected
)

// The faults of package faults.
var (
	Answer           = faults.Answer
	Callback         = faults.Callback
	CutAnswer        = faults.CutAnswer
	DropAfterCommit  = faults.DropAfterCommit
	DropBeforeCommit = faults.DropBeforeCommit
	Empty            = faults.Empty
	ExpiresIn        = faults.ExpiresIn
	HTMLPage         = faults.HTMLPage
	Hang             = faults.Hang
	HangAfterCommit  = faults.HangAfterCommit
	HookFault        = faults.HookFault
	Huge             = faults.Huge
	Maintenance      = faults.Maintenance
	Redirect         = faults.Redirect
	Refuse           = faults.Refuse
	Throttle         = faults.Throttle
	ThrottleReset    = faults.ThrottleReset
	ThrottleUntil    = faults.ThrottleUntil
)

// Inject puts a fault in force. Of several that fit a request, the one injected first strikes, and it alone.
func (m *Market) Inject(fault Fault) *Injected { return m.faults.Inject(fault) }

// ClearFaults ends every fault, and releases the requests that hang.
func (m *Market) ClearFaults() { m.faults.Clear() }
