// Package redact makes the words of a marketplace fit to be shown: error codes, descriptions and network errors, each bounded, on one line, and
// without anything that is, or looks like, a credential. Its tests are those of package grant, which asks for such words.
package redact
