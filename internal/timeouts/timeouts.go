// Package timeouts says how long the operator waits, on the real clock, for marketplaces, the API server, the clients of its servers and its
// own end. Each duration is held against the ones that it depends on by a test. Due times are decided elsewhere, on a clock that tests move.
package timeouts

import "time"

// Requests to marketplaces and issuers.
const (
	// Call bounds one request to a marketplace, where controller.Options name no other time.
	Call = 30 * time.Second
	// Dial and Handshake bound the steps before a request is sent, so that a host that hangs there is told from one that does not answer.
	Dial      = 10 * time.Second
	Handshake = 10 * time.Second
	// Identify bounds an identity request that tokens wait for.
	Identify = 5 * time.Second
	// RevokeWrong bounds the revocation of a grant that a person gave for another account.
	RevokeWrong = 5 * time.Second
	// Issuer bounds the fetching of an issuer's documents and keys, for which all its accounts may have to wait.
	Issuer = 5 * time.Second
)

// The API server.
const (
	// Store bounds the writing of a custody, with all its repetitions.
	Store = 20 * time.Second
	// CatchUp is how long a read waits for the cache to show the writes before it: a watch takes a few milliseconds, and one that
	// takes a second is broken.
	CatchUp = time.Second
	// Scrape bounds the listing of the cache for the metrics. It takes milliseconds; it hangs only while the cache has not been filled.
	Scrape = 5 * time.Second
	// AskAboutScraper bounds asking the API server about a reader of the metrics.
	AskAboutScraper = 3 * time.Second
	// ReadKeys bounds reading the keys with which the cluster signs tokens, for which visitors and scrapers with a new token wait.
	ReadKeys = 5 * time.Second
	// Reconcile frees a worker from a read that waits for a cache in vain. A token request that is under way, and the storing of its
	// answer, go on until their own bounds.
	Reconcile = 3 * time.Minute
)

// Attempt is how long one attempt to get tokens may take, from before it is in the journal until its answer is stored, where one request
// takes call: a refused client secret is followed by the previous one.
func Attempt(call time.Duration) time.Duration { return 2*call + Store }

// Clients of the operator's servers. Waiting for a client ends with one of these, and earlier where a newcomer needs the connection.
const (
	// ReadHeaders is for the headers of a request, and for a TLS handshake.
	ReadHeaders = 5 * time.Second
	// ReadRequest is for a request with its body.
	ReadRequest = 10 * time.Second
	// Answer is for probes and metrics, which are ready when they are asked for, from the end of the headers.
	Answer = 10 * time.Second
	// PortalAnswer is the same for the portal, where the answer to a callback takes longest.
	PortalAnswer = ReadRequest + Callback
	// IdleConnection is how long a connection without a request is kept.
	IdleConnection = 30 * time.Second
)

// A browser that comes back from a marketplace.
const (
	// FindVisit is how long a callback waits for an API server that is away: about as long as the shortest-lived code is
	// good for (Allegro: 10 s).
	FindVisit = 8 * time.Second
	// ClaimVisit is how long it may delay the exchange of a code, which must be in time.
	ClaimVisit = 3 * time.Second
	// ShowResult is how long a browser waits for the result to be stored, and StoreResult how long that is tried.
	// A shutdown bounds it as well, by the pod's grace period.
	ShowResult  = 15 * time.Second
	StoreResult = 24 * time.Hour
	// Callback bounds a callback as a whole: the exchange of the code, and the storing of the tokens.
	Callback = 90 * time.Second
	// Page bounds every other page of the portal.
	Page = 30 * time.Second
)

// The turns that a page of the portal waits for.
const (
	// DoubtfulToken is how long a token waits to be looked at, from an address with too many wrong ones.
	DoubtfulToken = 5 * time.Second
	// List is how long a list waits, while as many as may be are made, for one of them to be done.
	List = 5 * time.Second
	// Outcome is how long an answer to a button waits for the outcome: most renewals take a second.
	Outcome = 5 * time.Second
)

// The end of a process.
const (
	// StopPortal lets a callback that is under way finish.
	StopPortal = Callback + 5*time.Second
	// Shutdown lets a token request that is under way end, and its answer be stored. It is shorter than the
	// terminationGracePeriodSeconds of the manifests.
	Shutdown = 110 * time.Second
	// Drain bounds the writes after a shutdown, which ends by the pod's grace period before.
	Drain = 10 * time.Minute
)

// Programs to try the operator out with.
const (
	// DemoHeaders is for the headers of a request to the demo marketplace.
	DemoHeaders = 10 * time.Second
	// DemoShutdown is how long requests to the demo marketplace go on after the signal. One that hangs on purpose would never end.
	DemoShutdown = 2 * time.Second
	// DemoSignIn bounds a sign-in of the quickstart: without a hand on a mouse it takes no second.
	DemoSignIn = 30 * time.Second
	// QuickstartStop is how long a program that the quickstart started may take to end when it is asked to.
	QuickstartStop = 10 * time.Second
)
