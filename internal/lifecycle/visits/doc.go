// Package visits decides what a visit makes of the custody of an account: one browser's way to the marketplace and back, from the ticket that it uses up to
// the grant that it brings, or to the reason why it brings none. Like package lifecycle it is pure: values in, values out, without client, HTTP, context or
// clock.
package visits
