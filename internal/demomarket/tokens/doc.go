// Package tokens holds the tokens and device codes that a market of the demo marketplace has issued, and judges their use. The market's lock
// guards all of them.
package tokens
