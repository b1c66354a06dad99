// Package bounds says how much others may make the operator hold and do: strangers on the network, tenants, and platforms.
//
// The shipped memory limit is 512 MiB, of which ten thousand accounts take some 300. Whatever is bounded here has to fit
// beside them at its worst, all of it at the same time. Each bound is driven past by a test.
package bounds

import "time"

// MemoryShare is the part of the container's memory that Go may take: the rest is for the kernel, which holds sockets and pages of files.
const MemoryShare = 0.9

// What strangers may make a listener hold. A request whose headers are not complete holds at most some 150 KiB, if it is made of many
// short lines, so that all listeners together hold less than 48 MiB.
const (
	// PortalConnections are for people and the probes of an ingress: one person needs one for less than a second.
	PortalConnections = 256
	// MetricsConnections are for two Prometheus servers, and a person who looks.
	MetricsConnections = 32
	// MetricsTokens are of which the API server's word is remembered: those of these servers, and of strangers.
	MetricsTokens = 64
	// ProbeConnections are for the kubelet, which makes one at a time.
	ProbeConnections = 32
	// HeaderBytes of a request hold a session and the cookies of several visits, and net/http reads up to 4 KiB more.
	HeaderBytes = 16 << 10
	// HeaderLines of a request: each takes a hundred bytes and more of memory, however short it is. Browsers behind two proxies
	// send some forty.
	HeaderLines = 128
	// SocketBuffer is what the kernel may hold of a connection in each direction: it counts as the container's memory.
	SocketBuffer = 64 << 10
)

// How long strangers may take. Waiting for the client ends with one of these, and earlier where others need the connection.
const (
	// HeaderTimeout is for the headers of a request, and for a TLS handshake.
	HeaderTimeout = 5 * time.Second
	// RequestTimeout is for a request with its body.
	RequestTimeout = 10 * time.Second
	// AnswerTimeout is for what is ready when it is asked for: probes and metrics.
	AnswerTimeout = 10 * time.Second
	// IdleTimeout is how long a connection without a request is kept.
	IdleTimeout = 30 * time.Second
	// LongestMetricsRest is how long the metrics are not gathered again at most, after they were: whoever reads them all the time
	// has a quarter of a processor.
	LongestMetricsRest = 3 * time.Second
)

// What a platform, or whoever writes a Secret, may have the operator keep. Together they fit into a grant Secret.
const (
	// Token is an access token, an ID token or a refresh token: those of real platforms stay below 20 KiB.
	Token = 32 << 10
	// Credential is one key of a Secret that a user wrote: a refresh token, a password, a private key.
	Credential = 16 << 10
)

// What the templates of an account may make of its tokens. Some hundred accounts may be worked on at once, and each holds
// what it renders until it is written.
const (
	// RenderedKey is the text of one key: three tokens of the largest size that platforms of today have.
	RenderedKey = 64 << 10
	// RenderedSecret is the text of all keys of a template together.
	RenderedSecret = 128 << 10
	// TemplateInput is the text that the functions of one key take at once, and what they make altogether. Escaping makes six
	// times as much of it for a moment.
	TemplateInput = 128 << 10
	// TemplateArguments are the functions, values and arguments of one key, whether or not they are reached.
	TemplateArguments = 256
)

// What the cache holds of an object that a tenant writes, beside fields that the definition bounds. More than that is read from the API
// server when it is needed.
const (
	// HeldMetadata are the labels, annotations, owners and managed fields of an object. Those of an account are not held at all.
	HeldMetadata = 16 << 10
	// HeldGrant is the data of a grant Secret: some 4 KiB, where tokens are large 20 KiB.
	HeldGrant = 32 << 10
	// GrantSecret is the data of a grant Secret that is used at all.
	GrantSecret = 256 << 10
	// LargeObjects are read and written at once: three megabytes each, with what decoding takes.
	LargeObjects = 16
	// ListPage is how many objects are listed at once where the API server cannot stream them: some may have a megabyte.
	ListPage = 25
)
