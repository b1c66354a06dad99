// Package lifecycle decides what happens next to one account, and what an event makes of its custody. It is a pure machine: values in,
// values out, without client, HTTP, context or clock.
//
// [Facts] is what is known of the account at one moment. [Facts.Next] names the one thing to do. Whoever does it tells the machine what
// came of it by one of the methods that return a [Change]: the custody that must be stored before the next request goes to a marketplace
// and before anybody is told, and then what there is to tell. The controller drives the machine for every account, and the portal for
// a person who signs in.
package lifecycle
