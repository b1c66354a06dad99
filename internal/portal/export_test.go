package portal

// Serve is Start with a listener that a test has made.
var Serve = (*Portal).serve
