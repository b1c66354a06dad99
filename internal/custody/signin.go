package custody

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// SignIn holds the device code, links and visits that wait for a person.
type SignIn struct {
	// Requested is the annotation's value that asked for it; empty when the account needs it by itself, or needs none.
	Requested string `json:"requested,omitempty"`
	// Device is the device code that waits; nil when none does.
	Device *Device `json:"device,omitempty"`
	// Unattended counts the device codes in a row that no person used.
	Unattended int `json:"unattended,omitempty"`
	// Ended are the device codes in a row that the platform ended before anybody could use them; nil for none.
	Ended *EndedCodes `json:"ended,omitempty"`
	// Tickets are the links that were given out, the latest last.
	Tickets []Ticket `json:"tickets,omitempty"`
	// Visits are the people at the marketplace, the latest last.
	Visits []Visit `json:"visits,omitempty"`
	// Refused is why the last sign-in brought nothing; nil when it did, or there was none.
	Refused *Refusal `json:"refused,omitempty"`
}

// Device is a device code (RFC 8628 section 3.2).
type Device struct {
	// Code is sent with each poll: a credential.
	Code string `json:"code"`
	// UserCode is for the person to type at URL, which may carry it. Page is the address without it, where URL does; else empty.
	UserCode  string    `json:"userCode"`
	URL       string    `json:"url"`
	Page      string    `json:"page,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`
	// StartedAt is when it was asked for; the zero time where that was not noted.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// IntervalSeconds is how long to wait between two polls.
	IntervalSeconds int64 `json:"intervalSeconds"`
	// Unproven is as that of a Grant.
	Unproven bool `json:"unproven,omitempty"`
	// ClientID and Asked are the application and the scopes that the person is asked to consent to.
	ClientID string   `json:"clientID"`
	Asked    []string `json:"asked,omitzero"`
	// From is where the code was given, as that of a Grant.
	From Origin `json:"from,omitzero"`
}

// EndedCodes are device codes that the platform ended early.
type EndedCodes struct {
	Count int `json:"count"`
	// At is when it ended the last one, and Why the reason for it.
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// Ticket is a link that was given out.
type Ticket struct {
	// Hash is all that is kept of the ticket.
	Hash      string    `json:"hash"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Used tells that a person went on with it.
	Used bool `json:"used,omitempty"`
}

// Visit is a person at the marketplace, whose browser will come back with the state.
type Visit struct {
	// State and Cookie are hashes of the values that the browser was given.
	State  string `json:"state"`
	Cookie string `json:"cookie"`
	// Account and Marketplace, which is the name of the callback, are the only ones that it is good for.
	Account     types.UID `json:"account"`
	Marketplace string    `json:"marketplace"`
	// Server identifies the authorization server; empty in visits of before.
	Server    string    `json:"server,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Verifier is the code verifier (RFC 7636), Nonce the value that the ID token must repeat; empty where they are not used.
	Verifier string `json:"verifier,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	// RedirectURI, ClientID and Asked are as in the authorization request.
	RedirectURI string   `json:"redirectURI"`
	ClientID    string   `json:"clientID"`
	Asked       []string `json:"asked,omitzero"`
	// Unproven is as that of a Grant.
	Unproven bool `json:"unproven,omitempty"`
	// Used tells that the browser has come back, and Claim is the random mark of the callback that takes care of it.
	Used  bool   `json:"used,omitempty"`
	Claim string `json:"claim,omitempty"`
	// Consent is the number of the sign-in that it became; zero before it was stored.
	Consent int64 `json:"consent,omitempty"`
	// Problem and Detail are why it became none, for the browser that asks again; empty before that is known. A visit that
	// is not used and has a problem was left: a person declined, and the marketplace did not name the visit.
	Problem string `json:"problem,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Open tells that the person is at the marketplace, as far as is known.
func (v Visit) Open(now time.Time) bool { return !v.Used && v.Problem == "" && now.Before(v.ExpiresAt) }

// maxWaiting bounds the tickets and visits that are kept: more people than work on one account.
const maxWaiting = 16

// Clone returns a copy that shares nothing with s that its methods change.
func (s SignIn) Clone() SignIn {
	s.Tickets, s.Visits = slices.Clone(s.Tickets), slices.Clone(s.Visits)
	return s
}

// WithTicket keeps a ticket, and forgets tickets and visits that expired over a day ago.
func (s SignIn) WithTicket(ticket Ticket, now time.Time) SignIn {
	s = s.pruned(now)
	s.Tickets = append(s.Tickets, ticket)
	if len(s.Tickets) > maxWaiting {
		s.Tickets = slices.Delete(s.Tickets, s.leastTicket(), s.leastTicket()+1)
	}
	return s
}

// leastTicket is the one to be missed least: one that is used, else the one that ends first.
func (s SignIn) leastTicket() int {
	least := 0
	for i, t := range s.Tickets[:len(s.Tickets)-1] {
		if known := s.Tickets[least]; t.Used && !known.Used || t.Used == known.Used && t.ExpiresAt.Before(known.ExpiresAt) {
			least = i
		}
	}
	return least
}

// WithVisit keeps a visit, and forgets tickets and visits that expired over a day ago.
func (s SignIn) WithVisit(visit Visit, now time.Time) SignIn {
	s = s.pruned(now)
	s.Visits = append(s.Visits, visit)
	s.Visits = s.Visits[max(0, len(s.Visits)-maxWaiting):]
	return s
}

// remembered is how long an expired ticket or visit is still recognized, so that people are told why it does not work any more.
const remembered = 24 * time.Hour

func (s SignIn) pruned(now time.Time) SignIn {
	s.Tickets = slices.DeleteFunc(slices.Clone(s.Tickets), func(t Ticket) bool { return now.Sub(t.ExpiresAt) > remembered })
	s.Visits = slices.DeleteFunc(slices.Clone(s.Visits), func(v Visit) bool { return now.Sub(v.ExpiresAt) > remembered })
	return s
}

// Completed forgets device code, request and refusal after a person has signed in: the links do not work any more. A person at the
// marketplace may still come back.
func (s SignIn) Completed() SignIn {
	s = s.WithoutDevice().WithoutLinks()
	s.Requested, s.Refused = "", nil
	return s
}

// WithoutLinks has no link work any more.
func (s SignIn) WithoutLinks() SignIn {
	s.Tickets = slices.Clone(s.Tickets)
	for i := range s.Tickets {
		s.Tickets[i].Used = true
	}
	return s
}

// WithoutDevice forgets the device code after a person has used it, and the counts of earlier ones.
func (s SignIn) WithoutDevice() SignIn {
	s.Device, s.Unattended, s.Ended = nil, 0, nil
	return s
}

// WithEndedCode forgets a device code that the platform has ended early.
func (s SignIn) WithEndedCode(now time.Time, why string) SignIn {
	ended := EndedCodes{Count: 1, At: now, Why: why}
	if s.Ended != nil {
		ended.Count += s.Ended.Count
	}
	s.Device, s.Ended = nil, &ended
	return s
}
