package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"

// password is RFC 6749 section 4.3, with Auth0's lock: once it is shut, the right password does not open it either.
func (m *Market) password(x *exchange) (issuance, *denial) {
	name, given := x.parameters["username"], x.parameters["password"]
	if name == "" || given == "" {
		return issuance{}, deny(platforms.InvalidRequest, "username or password is missing")
	}
	known := m.users[name]
	if known == nil {
		return issuance{}, deny(platforms.WrongPassword, "wrong user name or password")
	}
	if denied := known.check(given, m.platform.LockAfter); denied != nil {
		return issuance{}, denied
	}
	granted, denied := m.grantedScopes(x.scopes(), m.platform.Scopes)
	if denied != nil {
		return issuance{}, denied
	}
	return issuance{
		grant:    platforms.GrantPassword,
		clientID: x.clientID,
		seller:   m.knownSeller(known.seller),
		asked:    x.scopes(),
		granted:  granted,
		audience: x.parameters["audience"],
	}, nil
}

// check judges one attempt and counts it. The wrong password that reaches lockAfter is still called wrong; the attempt
// after it finds the user locked.
func (u *user) check(given string, lockAfter int) *denial {
	switch {
	case u.locked:
		return deny(platforms.UserLocked, "the user is locked")
	case given != u.password:
		u.failures++
		u.locked = lockAfter > 0 && u.failures >= lockAfter
		return deny(platforms.WrongPassword, "wrong user name or password")
	case u.refused != "":
		return deny(u.refused, "the user may not log in with a password alone")
	}
	u.failures = 0
	return nil
}
