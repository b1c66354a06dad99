package renewal

import (
	"hash/fnv"
	"time"
)

const (
	// defaultBefore is used when neither the account nor its marketplace says how early to renew.
	defaultBefore = 15 * time.Minute
	// lastShare is the part of its life that a token has left at most when it is renewed at the latest, and firstShare the one that it has
	// left at most when it is renewed at the earliest: a quarter and a half.
	lastShare, firstShare = 4, 2
	// ShortestLife keeps an answer that names a lifetime of seconds from turning into a flood of requests: no token is renewed sooner after it was
	// issued.
	ShortestLife = 10 * time.Second
)

// Policy is how early a token is renewed.
type Policy struct {
	// Before is how long before its expiry a token is renewed; zero means a default.
	Before time.Duration
	// MaxBefore is how early the platform allows it at most; zero means any time.
	MaxBefore time.Duration
}

// RenewAt draws the moment of renewal for a token that lives from issued to expires. It is called once per
// token, and its result is stored with the token: a moment drawn anew at each look might never come.
//
// The moment lies Before ahead of expiry, or earlier by up to half of that: spread, from 0 to 1, says where. A short token is
// renewed when a quarter to a half of its life is left, so that as many as possible that were issued together are renewed one after the other.
// A spread that belongs to the account, and not to the token, gives each account a period of its own, so
// that accounts created together drift apart for good.
func (p Policy) RenewAt(issued, expires time.Time, spread float64) time.Time {
	before := p.Before
	if before <= 0 {
		before = defaultBefore
	}
	if p.MaxBefore > 0 {
		before = min(before, p.MaxBefore*2/3) // the rest leaves room for the jitter
	}
	life := expires.Sub(issued)
	latest := min(before, life/lastShare)
	jitter := min(before/2, life/firstShare-latest)
	early := latest + time.Duration(spread*float64(jitter))
	at := expires.Add(-early).Truncate(time.Second)
	if soonest := issued.Add(ShortestLife); at.Before(soonest) {
		return soonest
	}
	return at
}

// Spread returns a number from 0 to 1 that depends on nothing but the object's UID.
func Spread(uid string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(uid)) // never fails
	// FNV leaves the high bits of short inputs alike; one round of mixing spreads them (splitmix64).
	x := h.Sum64()
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
