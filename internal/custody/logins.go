package custody

import (
	"slices"
	"time"
)

// maxDoubts is how many logins without the platform's word are remembered: more than a person tries in a row.
const maxDoubts = 4

// Logins remembers how logins of grant Password went, beside the tokens that they brought.
type Logins struct {
	// Worked is the digest of the login that brought tokens last.
	Worked string `json:"worked,omitempty"`
	// Doubts are the logins since then whose attempts ended without the platform's word, the latest last.
	Doubts []Doubt `json:"doubts,omitempty"`
}

// Doubt is a login whose attempts ended without the platform's word: each may count towards a lock.
type Doubt struct {
	// Login is the digest of token host, user name and password, User that of token host and user name.
	Login string `json:"login"`
	User  string `json:"user"`
	// Tried are the digests of the attempts, which differ in the request to try again alone.
	Tried []string `json:"tried"`
	// Denied counts answers 401 and 403 without an error code, Lost the answers that did not come.
	Denied int `json:"denied,omitempty"`
	Lost   int `json:"lost,omitempty"`
	// LastAt is the last attempt, and WaitSeconds how long after it nothing is tried; zero leaves that to the account's backoff.
	LastAt      time.Time `json:"lastAt"`
	WaitSeconds int64     `json:"waitSeconds,omitempty"`
}

// Doubt returns the entry of the login with this digest; nil when there is none.
func (l Logins) Doubt(login string) *Doubt {
	at := slices.IndexFunc(l.Doubts, func(d Doubt) bool { return d.Login == login })
	if at < 0 || login == "" {
		return nil
	}
	return &l.Doubts[at]
}

// With returns the logins with this doubt as the latest, in the place of an earlier one of the same login.
func (l Logins) With(doubt Doubt) Logins {
	l.Doubts = slices.DeleteFunc(slices.Clone(l.Doubts), func(d Doubt) bool { return d.Login == doubt.Login })
	l.Doubts = append(l.Doubts, doubt)
	l.Doubts = l.Doubts[max(0, len(l.Doubts)-maxDoubts):]
	return l
}

// Try adds an attempt.
func (d Doubt) Try(sent string, at time.Time) Doubt {
	d.LastAt = at
	d.Tried = slices.DeleteFunc(slices.Clone(d.Tried), func(known string) bool { return known == sent })
	d.Tried = append(d.Tried, sent)
	d.Tried = d.Tried[max(0, len(d.Tried)-maxRefusedDigests):]
	return d
}
