// Package conditions says what people are told of an account: its status, a file for each condition, the transitions between two statuses
// that events are made from, and when there will be something else to say. It is given what is known, and asks nobody.
//
// A [Look] is what one look at an account has brought to light. [Report] puts it into the account's status:
//
//	after := conditions.Report(conditions.Look{Facts: facts, Outcome: outcome})
//	for _, transition := range conditions.Transitions(before, after) { … }
//
// The package does not know who is told, how, or when a status is written.
package conditions
