package main

import (
	"regexp"
	"strings"
	"unicode"
)

// vaguePronouns stand for something that has a name.
var vaguePronouns = map[string]bool{
	"who": true, "whose": true, "whoever": true, "what": true, "those": true, "others": true,
	"somebody": true, "nobody": true, "something": true,
}

// beforeWhich are the words after which "which" asks instead of following a noun; a preposition may stand in between.
var beforeWhich = map[string]bool{
	"": true, "and": true, "or": true, "but": true, "than": true, "whether": true, "matter": true,
	"tell": true, "tells": true, "told": true, "say": true, "says": true, "said": true, "know": true, "knows": true, "known": true,
	"see": true, "sees": true, "seen": true, "show": true, "shows": true, "shown": true, "ask": true, "asks": true, "asked": true,
	"choose": true, "chooses": true, "chosen": true, "decide": true, "decides": true, "decided": true, "name": true, "names": true,
}

var prepositions = map[string]bool{
	"about": true, "after": true, "at": true, "before": true, "by": true, "for": true, "from": true, "in": true, "into": true, "of": true,
	"on": true, "since": true, "through": true, "to": true, "under": true, "until": true, "with": true, "without": true,
}

// commentWord is a word, or the end of a sentence.
var commentWord = regexp.MustCompile(`[\pL\pN_'’]+|[.:;?!](?:\s|$)`)

// vagueWords counts the words of comments, and the vague pronouns among them.
func vagueWords(comments []string) (words, vague int) {
	for _, comment := range comments {
		before := [2]string{} // the two words before, empty at the beginning of a sentence
		for _, word := range commentWord.FindAllString(strings.ToLower(comment), -1) {
			if strings.ContainsAny(word[:1], ".:;?!") {
				before = [2]string{}
				continue
			}
			words++
			if vaguePronouns[word] || word == "which" && isVagueWhich(before) {
				vague++
			}
			before = [2]string{word, before[0]}
		}
	}
	return words, vague
}

func isVagueWhich(before [2]string) bool {
	if prepositions[before[0]] {
		return beforeWhich[before[1]]
	}
	return beforeWhich[before[0]]
}

// wordsOf counts the words of a name: runs of capitals are one, as in serveHTTP.
func wordsOf(name string) int {
	count := 0
	before := rune('_')
	letters := []rune(name)
	for i, r := range letters {
		begins := unicode.IsUpper(r) && (!unicode.IsUpper(before) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if r != '_' && (begins || before == '_') {
			count++
		}
		before = r
	}
	return count
}
