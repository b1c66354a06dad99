// Package visitor knows who asks for a page of the portal, and what they may see and do.
//
// A visitor brings a Kubernetes bearer token, which the API server reviews, and sees and does what their RBAC allows, of which
// the API server is asked. The package bounds what visitors and strangers can make the portal and the API server do: guesses of
// tokens and links, pages at once, questions about rights. It keeps nothing but short-lived caches, and knows no pages.
package visitor
