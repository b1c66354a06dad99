// Package tokensecret is the format of every Secret that tokenkeeper touches: the ones that users write (an
// application, a login, an imported refresh token), the token Secret that workloads mount, and the grant
// Secret, the operator's own custody of an account.
//
// It is the only place that reads or writes Secret data. It decides nothing and makes no calls; its errors name
// keys and never values.
package tokensecret
