// Package lifecycle is the state machine of one account. [Next] names the action that is due, and the events
// that an action may end with are functions from [facts.Facts] to a [Change]: the custody to store before anything else happens, and the news
// for people then. It is pure: values in, values out, without client, HTTP, context or clock.
package lifecycle
