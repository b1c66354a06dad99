package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"

// AddSeller adds a seller account, or replaces the one of that id.
func (m *Market) AddSeller(seller platforms.Seller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sellers[seller.ID] = seller
}

// AddUser adds a user of the password grant, or replaces the one of that name. A seller that is not known yet is
// added with its id as login.
func (m *Market) AddUser(name, password, sellerID string) {
	m.server.secrets.Note(password)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users[name] = &user{password: password, seller: m.knownSeller(sellerID).ID}
}

// SetPassword changes a user's password, which unlocks him and makes good a leaked one. Tokens that he has stay valid;
// RevokeGrants ends them, as several platforms do with a change of password. An unknown user is ignored.
func (m *Market) SetPassword(name, password string) {
	m.server.secrets.Note(password)
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.users[name]
	if known == nil {
		return
	}
	known.password, known.failures, known.locked = password, 0, false
	if known.refused == platforms.PasswordLeaked {
		known.refused = ""
	}
}

// Lock locks a user as too many wrong passwords do: until SetPassword. An unknown user is ignored.
func (m *Market) Lock(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.users[name]; known != nil {
		known.locked = true
	}
}

// RefuseLogin answers a user's right password with outcome, for example [MFARequired], [PasswordLeaked] or
// [UserBlocked]. An empty outcome ends that. An unknown user is ignored.
func (m *Market) RefuseLogin(name string, outcome platforms.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.users[name]; known != nil {
		known.refused = outcome
	}
}

// knownSeller returns the seller of that id and adds it when there is none. The market's lock is held.
func (m *Market) knownSeller(id string) platforms.Seller {
	seller, ok := m.sellers[id]
	if !ok {
		seller = platforms.Seller{ID: id, Login: id}
		m.sellers[id] = seller
	}
	return seller
}
