// Package throttle decides when a request may be made, so that one platform never hurts another, and is not hurt itself.
//
// There is a limiter for each token host and client: a client_id and its secret. It lets no more requests be under way at once, and begin in a
// second, than its [Limits] say; none while the platform wants to be left alone; and after failures in a row only one now and then, until one
// succeeds: a circuit breaker. All clients of a host together may have no more requests under way than a share of the workers.
//
// Nothing blocks at a limiter. A waiter that gets no permit is told so, and is called when its turn comes: tenants take turns, and the waiters
// of one tenant go in order of their [Priority].
package throttle
