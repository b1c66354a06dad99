// Package platforms describes the platforms of the demo marketplace as values: the endpoints of each, its tokens, its sign-in, and the words of
// its refusals. A test that needs another quirk changes a field of one.
package platforms
