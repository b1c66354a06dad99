// Package throttle decides when a request may be made, so that one platform never hurts another, and is not hurt itself.
//
// There is a gate for each token host and client: a client_id and its secret. Through a gate go no more requests at once, and in a second, than its
// [Limits] say; none while the platform wants to be left alone; and after failures in a row only one now and then, until one
// succeeds: a circuit breaker. All clients of a host together may have no more requests under way than a share of the workers.
//
// Nobody blocks at a gate. A request that cannot go through is told so, and is called when its turn comes: tenants take turns, and those of one
// tenant go in order of their [Rank].
package throttle
