// Package controller drives the machine of an account: it watches, finds out what is known, does one thing after the other until nothing is due,
// publishes, and reports once. A token is in the grant Secret before it is in the token Secret, and there before status, event, metric or log
// mention it.
package controller
