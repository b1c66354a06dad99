// Package signin knows how a person is led through a sign-in: the link that they click, the state that travels with
// their browser to the marketplace and back, and how it can end. It knows no cluster, no pages and no tokens.
//
// A sign-in goes like this. The account's status shows a link, which holds a ticket: Offer describes it. When the
// person goes on, Begin uses the ticket up, makes the state of one visit, and sends the browser to the marketplace.
// When the browser comes back, Complete exchanges the code and names the account that was signed in.
package signin
