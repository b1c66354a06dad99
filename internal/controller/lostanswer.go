package controller

// A single-use refresh token whose answer was lost may be spent or not, and nobody knows. If the platform acted, the
// successor is lost already; if it did not, the token still works; and a second use can cost what the access token is still
// good for. So the token rests until its end of use, shortly before the access token ends anyway, and is sent again from
// then on: a last resort. docs/faults.md has the rule for users.
