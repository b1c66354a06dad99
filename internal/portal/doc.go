// Package portal serves the pages on which people see their accounts and sign in at marketplaces.
//
// Package visitor tells who asks for a page, and what they may see and do; package cards how it is with an account; package words holds
// the sentences, in each language. A portal knows neither tokens of marketplaces nor how a sign-in is done: that is behind SignIns. It
// keeps nothing but short-lived caches, so every replica can answer every request.
//
// The pages work without scripts, and none is allowed to run on them.
package portal
