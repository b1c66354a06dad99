package demomarket

// AddRedirectURI registers an address to which people may be sent back to an application. It is compared exactly
// (RFC 9700 section 2.1). An unknown application is ignored.
func (m *Market) AddRedirectURI(clientID, uri string) { m.AddRuName(clientID, uri, uri, uri) }

// AddRuName registers an eBay Redirect URL name: what an application sends as redirect_uri, and the addresses to which
// people are sent when they accept and when they decline. An unknown application is ignored.
func (m *Market) AddRuName(clientID, name, acceptURL, declineURL string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.clients[clientID]; known != nil {
		known.redirects = append(known.redirects, redirect{name: name, accept: acceptURL, decline: declineURL})
	}
}

// RedirectURIs returns the values of redirect_uri that are registered for an application.
func (m *Market) RedirectURIs(clientID string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	if known := m.clients[clientID]; known != nil {
		for _, registered := range known.redirects {
			names = append(names, registered.name)
		}
	}
	return names
}

// redirect returns the one of that name, and without a name, where that is allowed, the first.
func (c *client) redirect(name string, optional bool) (redirect, bool) {
	for _, registered := range c.redirects {
		if registered.name == name || (name == "" && optional) {
			return registered, true
		}
	}
	return redirect{}, false
}
