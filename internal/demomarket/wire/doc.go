// Package wire reads the parameters that clients send to the demo marketplace, and writes and signs its answers.
package wire
