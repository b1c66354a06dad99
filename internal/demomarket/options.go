package demomarket

import (
	"cmp"
	"crypto/rsa"
	"io"
	"net/http"
	"time"
)

// Options come from outside of a [Server]. The zero value is a server on the wall clock with the platforms'
// own lifetimes, no added latency and both logs on.
type Options struct {
	// Now is the clock that tokens are issued and judged by. Nil means time.Now.
	Now func() time.Time
	// Rand is where token values come from. Nil means crypto/rand. It is read under a lock.
	Rand io.Reader
	// BaseURL is the address that issuers and discovery name, without a trailing slash. Empty means that it is taken
	// from each request's scheme and Host.
	BaseURL string
	// Latency is added to every answer in real time: half of it before a token request is acted on, half between that
	// and the answer, so that a client can be lost in either half.
	Latency time.Duration
	// Lifetimes replace the lifetimes of every platform where they are not zero.
	Lifetimes Lifetimes
	// Key signs RS256 tokens. Nil means that one is made when first needed, which takes a fraction of a second; tests
	// that start many servers share SharedKey.
	Key *rsa.PrivateKey
	// RequestLog is how many token requests each platform remembers. Zero means 1000, less than zero none.
	RequestLog int
	// SecretLog is how many secrets the server remembers for Secrets. Zero means 100000, less than zero none.
	SecretLog int
	// Control makes the pages under /_demo/, through which anyone who reaches the server can break it (package control). Nil means none.
	Control func(*Server) http.Handler
}

// Lifetimes are how long tokens live. A zero value changes nothing.
type Lifetimes struct {
	// Access is the lifetime of access tokens.
	Access time.Duration
	// ID is the lifetime of ID tokens. Zero keeps its proportion to Access, so that one that ends early still does.
	ID time.Duration
	// Refresh is the lifetime of refresh tokens.
	Refresh time.Duration
	// Code is the lifetime of authorization codes.
	Code time.Duration
	// DeviceCode is the lifetime of device codes, and of the user codes that belong to them.
	DeviceCode time.Duration
}

// over returns l with its zero values taken from the lifetimes before it.
func (l Lifetimes) over(before Lifetimes) Lifetimes {
	if l.ID == 0 {
		l.ID = before.ID
		if l.Access != 0 && before.Access != 0 {
			l.ID = time.Duration(float64(before.ID) * float64(l.Access) / float64(before.Access)).Truncate(time.Second)
		}
	}
	l.Access = cmp.Or(l.Access, before.Access)
	l.Refresh = cmp.Or(l.Refresh, before.Refresh)
	l.Code = cmp.Or(l.Code, before.Code)
	l.DeviceCode = cmp.Or(l.DeviceCode, before.DeviceCode)
	return l
}
