package demomarket

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// The application that every platform starts with, and the password of both users.
const (
	DefaultClientID     = "demo-client"
	DefaultClientSecret = "demo-client-secret"
	DefaultPassword     = "demo-password"
	// DefaultApplicationID is Amazon's name for the application in authorization requests.
	DefaultApplicationID = "amzn1.sellerapps.app.demo"
)

// AddClient registers an application, or replaces the one of that id. Without a secret it is a public one.
func (m *Market) AddClient(id, secret string) {
	m.server.secrets.Note(secret)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients[id] = &client{id: id, secrets: []string{secret}, applicationID: id}
}

// SetApplicationID gives an application the id that authorization requests call it by, which on Amazon is not its
// client id. An unknown application is ignored.
func (m *Market) SetApplicationID(clientID, applicationID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.clients[clientID]; known != nil {
		known.applicationID = applicationID
	}
}

// SetDraft makes an application a draft, of whose authorization requests Amazon wants version=beta, or publishes it. An
// unknown application is ignored.
func (m *Market) SetDraft(clientID string, draft bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.clients[clientID]; known != nil {
		known.draft = draft
	}
}

// SetLoginURI puts an application into the platform's store, and says where that sends people who want to use it. An
// unknown application is ignored.
func (m *Market) SetLoginURI(clientID, uri string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.clients[clientID]; known != nil {
		known.loginURI = uri
	}
}

// SetClientSecret gives the application [DefaultClientID] a new secret. The one before it goes on working when
// previousStillValid, as Amazon has it for seven days.
func (m *Market) SetClientSecret(secret string, previousStillValid bool) {
	m.server.secrets.Note(secret)
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.clients[DefaultClientID]
	secrets := []string{secret}
	if previousStillValid {
		secrets = append(secrets, held.secrets[0])
	}
	held.secrets = secrets
}

// authenticate tells whether the client proved itself in the one place where the platform looks (RFC 6749
// sections 2.3 and 3.2.1).
func (m *Market) authenticate(x *exchange) *denial {
	id, secret := x.parameters["client_id"], x.parameters["client_secret"]
	verified := x.basic == nil && secret == "" && takesVerifier(m.platform.Authorization, x)
	switch {
	case x.basic != nil && secret != "":
		return deny(platforms.InvalidRequest, "two client authentication methods in one request")
	case x.basic != nil && id != "" && id != x.basic.id:
		return deny(platforms.InvalidRequest, "client_id is not the authenticated client")
	case x.basic != nil && m.platform.ClientAuthentication == platforms.Body,
		x.basic == nil && m.platform.ClientAuthentication == platforms.Basic && !verified:
		return deny(platforms.InvalidClient, "client authentication by this method is not accepted")
	case x.basic != nil:
		id, secret = x.basic.id, x.basic.secret
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.clients[id]
	if known == nil || (!verified && !slices.Contains(known.secrets, secret)) {
		return deny(platforms.InvalidClient, "client authentication failed")
	}
	x.clientID = id
	return nil
}

// takesVerifier tells whether a token request proves its client by a code_verifier.
func takesVerifier(a platforms.Authorization, x *exchange) bool {
	return a.VerifierForSecret && x.grant() == platforms.GrantAuthorizationCode && x.parameters["code_verifier"] != ""
}
