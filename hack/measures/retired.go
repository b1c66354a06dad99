package main

import "strings"

// retiredWord is a word of an earlier private language.
type retiredWord struct {
	word string
	// becomes is the word of the glossary in CONTRIBUTING.md, or the plain English, that says the same.
	becomes string
	reach   reach
}

// reach is where a retired word is refused.
type reach int

const (
	// everywhere: in comments, as names and as parts of names.
	everywhere reach = iota
	// asName: comments may use the word, which is ordinary English there.
	asName
	// asNameInCode: names of tests may be the word, too.
	asNameInCode
)

// retiredWords are in lower case, several words of a name in one.
var retiredWords = []retiredWord{
	{"arrears", "backlog", everywhere},
	{"closedgate", "limiterClosedOnly", everywhere},
	{"glance", "metadata entry", everywhere},
	{"grantless", "missing grant", everywhere},
	{"misfit", "wrong account", everywhere},
	{"newtimes", "tokenTimesOnly", everywhere},
	{"noturns", "leaveQueues", everywhere},
	{"outdoes", "is newer", everywhere},
	{"parting", "departure", everywhere},
	{"rescue", "store the pending write", everywhere},
	{"seeoff", "flushAndForget", everywhere},
	{"sighting", "secret version", everywhere},
	{"spendlasttime", "lastResort", everywhere},
	{"unasked", "limiterClosed", everywhere},
	{"unstored", "pendingWrite, or not stored", everywhere},
	{"waitstotest", "testQueued", everywhere},

	{"announce", "emitEvents", asName},
	{"blame", "failure", asName},
	{"blocked", "cannotRenew", asName},
	{"bringing", "newImport", asName},
	{"dare", "overrideRestored", asName},
	{"discard", "rejectWrongAccount", asName},
	{"giveup", "expireCandidate", asName},
	{"handover", "flush", asName},
	{"heard", "handledRenew, or a name that says what arrived", asName},
	{"impatient", "failFast", asName},
	{"lag", "pendingWrite", asName},
	{"learn", "setAccount", asName},
	{"leaving", "departed or departures", asName},
	{"news", "urgency, or a name that says what changed", asName},
	{"owes", "hasPending", asName},
	{"pressing", "immediate", asName},
	{"save", "write", asName},
	{"sight", "versionOf", asName},
	{"standing", "permanentFailure, stillRefused or summary", asName},
	{"stands", "stillRefused", asName},
	{"trouble", "failure", asName},
	{"turned", "becameReason", asName},

	{"behind", "staleGrant, or a name that says behind what", asNameInCode},
	{"elsewhere", "a name that says where", asNameInCode},
	{"others", "a name that says which", asNameInCode},
	{"settle", "acceptOrReject, or a name that says what is done", asNameInCode},
}

// retiredName finds the retired word that a name is or, where comments do without it too, that is a part of it.
func retiredName(name string, inTest bool) (retiredWord, bool) {
	whole := strings.ToLower(name)
	for _, retired := range retiredWords {
		if whole == retired.word && (retired.reach != asNameInCode || !inTest) {
			return retired, true
		}
		if retired.reach != everywhere {
			continue
		}
		for _, part := range partsOf(name) {
			if strings.ToLower(part) == retired.word {
				return retired, true
			}
		}
	}
	return retiredWord{}, false
}

// retiredIn finds the retired words of a comment, with their lines of it, counted from 0.
func retiredIn(comment string) (words []retiredWord, lines []int) {
	for _, at := range commentWord.FindAllStringIndex(comment, -1) {
		for _, retired := range retiredWords {
			if retired.reach == everywhere && strings.EqualFold(comment[at[0]:at[1]], retired.word) {
				words, lines = append(words, retired), append(lines, strings.Count(comment[:at[0]], "\n"))
			}
		}
	}
	return words, lines
}
