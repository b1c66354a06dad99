// Package judge counts the requests of a demo marketplace, and remembers them and every secret that passed through it: refresh tokens that were
// spent twice, pairs whose answer never arrived, codes that came twice or too late, and polls that came too early.
package judge
