// Package custody is the value that must not be lost: the grant in use and the candidate grant, their tokens, the journal of a refresh
// token that is being sent, refusals, and the sign-ins that wait for a person.
//
// It knows how these belong together and when each may be forgotten. It stores and sends nothing and has no clock; package tokensecret
// writes it into the grant Secret.
package custody
