// Package visitor recognises the visitors of the portal, and knows the accounts that they may see and act on.
//
// A visitor brings a Kubernetes bearer token, which the API server reviews, and needs the rights that RBAC gives them, about
// which the API server is asked. The package bounds the work that visitors and strangers can cause for the portal and the API
// server: guesses of tokens and links, pages at once, questions about rights. It keeps nothing but short-lived caches, and knows
// no pages.
package visitor
