// Package vetting checks a custody that was read as if it had just arrived: any tenant who may write Secrets in a namespace can write a grant Secret
// there, and its content is shown to people and sent to marketplaces. A part that does not pass is left out, as if it were absent, and
// named; the rest stays as it is.
//
// It is pure, and knows no way to tell whether the operator wrote a custody.
package vetting
