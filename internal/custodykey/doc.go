// Package custodykey holds the key under which the operator authenticates grant Secrets, and knows which of them it takes for authentic
// without: those that existed when the key was made, or when an admin said so.
//
// The key lies in one Secret of the operator's namespace, which no tenant may write. Which grant Secrets existed at a moment is told by
// their resourceVersion, which the API server gives: it is less than the one that the key's Secret had then. A later write has a greater
// one, whatever it says. The package says what is authentic, and not what follows from it.
package custodykey
