package portal

// Bounds on the content of a request, and on the cookies of a browser. Connections, headers and their times are bounded by the
// server, see package bounds, and the work that visitors can cause by package visitor.
const (
	// maxBody is enough for the longest session token, or a ticket and the query of an app store.
	maxBody = 32 << 10
	// maxCards is how many accounts a list shows, of some 2.5 KiB each. Those that need a person come first.
	maxCards = 500
	// maxCallback bounds the query with which a marketplace sends a browser back. Codes may be long.
	maxCallback = 8 << 10
	// maxQuery bounds the query with which an app store sends a person.
	maxQuery = 4 << 10
	// maxTicket is more than a ticket has.
	maxTicket = 256

	// maxVisitCookies and maxResultCookies are how many cookies of visits and of results a browser holds, of 400 and 3900 bytes
	// at most. With a session of 4 KiB they fit into the headers of a request.
	maxVisitCookies  = 8
	maxResultCookies = 2
	// maxResult is the size of a cookie's value, beside its name and attributes.
	maxResult = 3800
)
