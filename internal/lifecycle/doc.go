// Package lifecycle says what happens next to one account, and what an event makes of it. [Next] names the action that is due, and the events
// that an action may end with are functions from [facts.Facts] to a [Change]: the custody to store before anything else happens, and what people
// are told then. It is pure: values in, values out, without client, HTTP, context or clock.
package lifecycle
