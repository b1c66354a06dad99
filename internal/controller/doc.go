// Package controller is the only place where Kubernetes and tokens meet. It gathers what an account refers
// to, decides, obtains tokens, stores them, and reports, in that order: a token is in the grant Secret before
// it is in the token Secret, and there before status, event, metric or log mention it.
package controller
