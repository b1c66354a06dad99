package visitor

import "time"

// Bounds on the memory that strangers and visitors can take up in a process, some 20 MiB altogether, and on the work that they
// can cause.
const (
	// MaxToken leaves room for the cookie's name and attributes: browsers keep 4096 bytes (RFC 6265 section 6.1).
	MaxToken = 4000

	// maxAddresses bounds the memory of a limiter, of 200 bytes each. Strangers with more addresses than that need not evade it.
	maxAddresses = 10_000
	// maxSubjects is the same for tokens that the cluster has signed, by the ServiceAccount that has them.
	maxSubjects = 10_000
	// maxReviews bounds the memory of reviewed tokens, of a few KiB each with their groups: the people who look at lists.
	maxReviews = 1000
	// maxAnswers bounds the memory of answers about rights, of 250 bytes each: the pages of a hundred visitors.
	maxAnswers = 20_000
	// maxVisitors bounds the memory of users, with the questions that each may still cause.
	maxVisitors = 10_000

	// tokenFailures are for a shop, where several people behind one address mistype. Guesses are stopped by the size of tokens;
	// the limit is for the API server, which reviews each.
	tokenFailures = 10
	// linkFailures are more, because mail scanners open old links again and again, and none costs a call.
	linkFailures = 20
	// anotherFailure is after how long one more is allowed.
	anotherFailure = 5 * time.Second
	// doubtfulRate is how many tokens a second are looked at from addresses with too many wrong ones, all together.
	doubtfulRate = 5

	// maxLists is how many lists are made at once: each reads every account. A visitor makes one at a time.
	maxLists = 8
	// maxUnread is how many lists of one visitor may be under way to a browser that reads slowly, and maxUnreadBytes how large those of all visitors
	// may be together.
	maxUnread      = 4
	maxUnreadBytes = 32 << 20
	// maxPressed is how many buttons a visitor may press at once, and pressedEach after how long one more.
	maxPressed  = 20
	pressedEach = time.Second
	// maxQuestions is how many questions the API server is asked at once, for the lists of all visitors together.
	maxQuestions = 12
	// maxActing is the same for buttons, which do not wait for lists.
	maxActing = 4
	// maxNamespaces is about how many namespaces a page asks, and maxSingle about how many accounts by name where the visitor
	// may not see all of a namespace.
	maxNamespaces = 100
	maxSingle     = 50
	// maxAsked is how many questions a visitor may cause at once, a little more than a page, which asks about two verbs of the accounts
	// that it shows, and askedEach after how long one more: most pages can be made anew as often as answers are forgotten.
	maxAsked  = 500
	askedEach = 25 * time.Millisecond
)
