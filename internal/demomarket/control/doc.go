// Package control serves the pages of a demo marketplace by which people break and mend it, and look at its counts.
package control
