// Package bounds says how much strangers on the network, tenants, and platforms may make the operator hold and do.
//
// The shipped memory limit is 512 MiB, of which ten thousand accounts take some 300. Whatever is bounded here has to fit
// beside them at its worst, all of it at the same time. Each bound is driven past by a test.
package bounds

import "time"

// MemoryShare is the part of the container's memory that Go may take: the rest is for the kernel, which holds sockets and pages of files.
const MemoryShare = 0.9

// How much strangers may make a listener hold. A request with incomplete headers holds at most some 150 KiB, if it is made of many
// short lines, so that all listeners together hold less than 48 MiB.
const (
	// PortalConnections are for people and the probes of an ingress: one person needs one for less than a second.
	PortalConnections = 256
	// MetricsConnections are for two Prometheus servers, and a look by hand.
	MetricsConnections = 32
	// MetricsTokens are the bearer tokens on which the API server's word is remembered: of these servers, and of strangers.
	MetricsTokens = 64
	// ProbeConnections are for the kubelet, which makes one at a time.
	ProbeConnections = 32
	// HeaderBytes of a request hold a session and the cookies of several visits, and net/http reads up to 4 KiB more.
	HeaderBytes = 16 << 10
	// HeaderLines of a request: each takes a hundred bytes and more of memory, however short it is. Browsers behind two proxies
	// send some forty.
	HeaderLines = 128
	// SocketBuffer is the kernel's memory for a connection in each direction: it counts as the container's memory.
	SocketBuffer = 64 << 10
)

// LongestMetricsRest is how long the metrics are not gathered again at most, after they were: a client that reads them all the time
// has a quarter of a processor.
const LongestMetricsRest = 3 * time.Second

// How much a platform, or the writer of a Secret, may have the operator keep. Together they fit into a grant Secret.
const (
	// Token is an access token, an ID token or a refresh token: on real platforms they stay below 20 KiB.
	Token = 32 << 10
	// Credential is one key of a Secret that a user wrote: a refresh token, a password, a private key.
	Credential = 16 << 10
	// UserSecret is what is read of such a Secret altogether. Real ones have a few kilobytes, in a key or two.
	UserSecret = 32 << 10
)

// How much of what a platform or an issuer answers is read. Each worker may hold an answer that trickles in.
const (
	// Answer is the body of one: three tokens of the largest size fit.
	Answer = 128 << 10
	// AnswerValues are the names and values of its JSON, which take up to some 200 bytes each once it is decoded. A page of a hundred shops has
	// some two thousand.
	AnswerValues = 4096
)

// How much the templates of an account may make of its tokens. Some hundred accounts may be worked on at once, and each holds
// the rendered text until it is written.
const (
	// RenderedKey is the text of one key: three tokens of the largest size that platforms of today have.
	RenderedKey = 64 << 10
	// RenderedSecret is the text of all keys of a template together.
	RenderedSecret = 128 << 10
	// TemplateInput is the text that the functions of one key take at once, and also that they make altogether. Escaping makes six
	// times as much of it for a moment.
	TemplateInput = 128 << 10
	// TemplateArguments are the functions, values and arguments of one key, whether or not they are reached.
	TemplateArguments = 256
)

// How much the cache holds of an object that a tenant writes, beside fields that the definition bounds. More than that is read from the API
// server when it is needed.
const (
	// HeldMetadata are the labels, annotations, owners and managed fields of an object. Of an account none of them are held.
	HeldMetadata = 16 << 10
	// HeldGrant is the data of a grant Secret: some 4 KiB, where tokens are large 20 KiB.
	HeldGrant = 32 << 10
	// GrantSecret is the data of a grant Secret that is used at all.
	GrantSecret = 256 << 10
	// LargeObjects are read and written at once: three megabytes each, decoding included.
	LargeObjects = 16
	// ListPage is how many objects are listed at once where the API server cannot stream them: some may have a megabyte.
	ListPage = 25
)
