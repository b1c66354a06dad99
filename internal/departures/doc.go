// Package departures sees accounts off: it revokes the grant of an account that is deleted, where the account wants that, stores the tokens that
// only this process has of an account that another installation takes over, and then has the account forgotten.
package departures
