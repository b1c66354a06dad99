package custody

import "time"

// Journal records, before a single-use refresh token is spent, that it is about to be.
type Journal struct {
	// StartedAt is when the token was first sent.
	StartedAt time.Time `json:"startedAt"`
	// LastAt is when it was sent last, and Holder names the process that did.
	LastAt time.Time `json:"lastAt,omitzero"`
	Holder string    `json:"holder,omitempty"`
	// Attempts counts how often it was sent. It also makes each attempt a write of its own, since the API
	// server drops writes that change nothing.
	Attempts int `json:"attempts"`
	// Imported is the token, where it is one that the user brought and not RefreshToken of the Custody.
	Imported string `json:"imported,omitempty"`
	// Lost tells that its answer is lost and no grace helps: nothing but a last resort sends the token again.
	Lost bool `json:"lost,omitempty"`
	// LastResorts counts how often it was sent since then.
	LastResorts int `json:"lastResorts,omitempty"`
	// Retried is read alone, of journals from before: it was sent again after the platform's grace had passed.
	Retried bool `json:"retried,omitempty"`
}
