package custody

import "time"

// Seen is what the Secrets that users wrote said when they were read last, but for their secrets. A process that starts decides by it while
// their versions are the same, and reads them before it asks a marketplace for anything. The zero value knows of none.
type Seen struct {
	// Inputs are the versions that it is true of, in any process. Without Credentials nothing is known of a login, nor that the user's Secret holds
	// the refresh token that the grant in use began with.
	Inputs Inputs `json:"inputs"`
	// ClientID, RedirectURI and the end of the client secret are those of the application.
	ClientID           string    `json:"clientID,omitempty"`
	RedirectURI        string    `json:"redirectURI,omitempty"`
	SecretExpiresAt    time.Time `json:"secretExpiresAt,omitzero"`
	SecretNeverExpires bool      `json:"secretNeverExpires,omitempty"`
	// SecretSince is when the client secret got its value; zero where the platform ends none.
	SecretSince time.Time `json:"secretSince,omitzero"`
	// Username is that of a login, GrantedAt the consent that the user's Secret tells of.
	Username  string    `json:"username,omitempty"`
	GrantedAt time.Time `json:"grantedAt,omitzero"`
}

// Settled tells that there are tokens, and that nothing beside the grant in use waits, was refused, or is in doubt.
func (c Custody) Settled() bool {
	waits := c.Restored != nil || c.Candidate != nil || c.Aside != nil || c.Journal != nil || c.ImportJournal != nil || c.SignIn.Device != nil
	refused := c.Refused != nil || c.RefusedImport != nil || c.SignIn.Refused != nil || len(c.Logins.Doubts) > 0
	return c.Tokens != nil && !waits && !refused
}
