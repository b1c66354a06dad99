// Package watches decides which accounts a reconcile is due for after a change: of an account, of a Secret that it names or owns, of its
// Marketplace, of its namespace, or of another account of the same seller.
package watches
