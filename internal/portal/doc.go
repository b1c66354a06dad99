// Package portal serves the pages on which people see their accounts and sign in at marketplaces.
//
// It knows who asks (a Kubernetes bearer token, reviewed by the API server), what they may see and do (their RBAC, asked
// of the API server), and how to say it in their language. It knows neither tokens of marketplaces nor how a sign-in
// is done: that is behind SignIns. It keeps nothing but short-lived caches, so every replica can answer every request.
//
// The pages work without scripts, and none is allowed to run on them.
package portal
