// Package controller drives the machine of an account: it gathers the facts, does one action after the other until none is due,
// publishes, and reports once. A token is in the grant Secret before it is in the token Secret, and there before status, event, metric or log
// mention it.
package controller
