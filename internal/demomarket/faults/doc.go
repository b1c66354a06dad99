// Package faults makes a market of the demo marketplace fail on request: it answers in the platform's place, loses answers, and changes them.
package faults
