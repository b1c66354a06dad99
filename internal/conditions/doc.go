// Package conditions writes the news of an account for people: its status, a file for each condition, the transitions between two statuses
// that events are made from, and when the next change of the status is due. It is given the facts, and makes no request.
//
// A [Look] is one look at an account, with its facts and its outcome. [Report] puts it into the account's status:
//
//	after := conditions.Report(conditions.Look{Facts: facts, Outcome: outcome})
//	for _, transition := range conditions.Transitions(before, after) { … }
//
// The package does not know the readers of the news, its channels, or when a status is written.
package conditions
