package portal

// What strangers can make a process hold, and their own browsers.
const (
	// maxVisitCookies and maxResultCookies are how many cookies of visits and of results a browser holds, of about 200 and 600
	// bytes. With a session of 4 KiB they fit into the headers of a request.
	maxVisitCookies  = 16
	maxResultCookies = 3
)
