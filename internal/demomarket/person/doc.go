// Package person signs in at a demo marketplace as a person does, without a browser: it goes where a link leads, reads the pages, and presses
// their buttons. It goes by the pages alone, so that it can sign in at a marketplace that runs in another process.
package person
