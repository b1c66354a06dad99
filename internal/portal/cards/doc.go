// Package cards says how it is with accounts, to people in a shop: how urgent an account is, its status in words, advice, and the
// buttons that are of use. It reads specs and statuses, and knows neither visitors nor pages.
package cards
