package main

import "strings"

// retiredWord is a word of an earlier private language.
type retiredWord struct {
	word string
	// becomes is the word of the glossary in CONTRIBUTING.md, or the plain English, that says the same.
	becomes string
	// inText tells that comments and parts of names do without the word too. Others are ordinary English there.
	inText bool
}

// retiredWords are in lower case, several words of a name in one.
var retiredWords = []retiredWord{
	{"arrears", "backlog", true},
	{"closedgate", "limiterClosedOnly", true},
	{"glance", "metadata entry", true},
	{"grantless", "missing grant", true},
	{"misfit", "wrong account", true},
	{"newtimes", "tokenTimesOnly", true},
	{"noturns", "leaveQueues", true},
	{"outdoes", "is newer", true},
	{"parting", "departure", true},
	{"rescue", "store the pending write", true},
	{"seeoff", "flushAndForget", true},
	{"sighting", "secret version", true},
	{"spendlasttime", "lastResort", true},
	{"unasked", "limiterClosed", true},
	{"waitstotest", "testQueued", true},

	{"blame", "failure", false},
	{"bringing", "newImport", false},
	{"dare", "overrideRestored", false},
	{"elsewhere", "a name that says where", false},
	{"giveup", "expireCandidate", false},
	{"handover", "flush", false},
	{"impatient", "failFast", false},
	{"leaving", "departed or departures", false},
	{"news", "urgency, or a name that says what changed", false},
	{"owes", "hasPending", false},
	{"pressing", "immediate", false},
	{"sight", "versionOf", false},
	{"stands", "stillRefused", false},
}

// retiredName finds the retired word that a name is or, where comments do without it too, that is a part of it.
func retiredName(name string) (retiredWord, bool) {
	whole := strings.ToLower(name)
	for _, retired := range retiredWords {
		if whole == retired.word {
			return retired, true
		}
		if !retired.inText {
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
			if retired.inText && strings.EqualFold(comment[at[0]:at[1]], retired.word) {
				words, lines = append(words, retired), append(lines, strings.Count(comment[:at[0]], "\n"))
			}
		}
	}
	return words, lines
}
