// Package cards says how it is with accounts, to people in a shop: how urgent an account is, in words, what they can do about it, and
// which buttons are of use. It reads specs and statuses, and knows neither visitors nor pages.
package cards
