// Package portal serves the pages on which people see their accounts and sign in at marketplaces.
//
// Package visitor recognises the visitor that asks for a page, and knows the accounts that they may see and act on; package cards says
// how it is with an account; package words holds the sentences, in each language. A portal knows neither tokens of marketplaces nor how
// a sign-in is done: that is behind SignIns. It keeps nothing but short-lived caches, so every replica can answer every request.
//
// The pages work without scripts, and none is allowed to run on them.
package portal
