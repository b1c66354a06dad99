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

// foundWord is a word of a comment, and the line of the comment on which it stands, counted from 0.
type foundWord struct {
	word string
	line int
}

// vagueWords counts the words of a comment, and finds the vague pronouns among them.
func vagueWords(comment string) (words int, vague []foundWord) {
	before := [2]string{} // the two words before, empty at the beginning of a sentence
	comment = strings.ToLower(comment)
	for _, at := range commentWord.FindAllStringIndex(comment, -1) {
		word := comment[at[0]:at[1]]
		if strings.ContainsAny(word[:1], ".:;?!") {
			before = [2]string{}
			continue
		}
		words++
		if vaguePronouns[word] || word == "which" && isVagueWhich(before) {
			vague = append(vague, foundWord{word, strings.Count(comment[:at[0]], "\n")})
		}
		before = [2]string{word, before[0]}
	}
	return words, vague
}

func isVagueWhich(before [2]string) bool {
	if prepositions[before[0]] {
		return beforeWhich[before[1]]
	}
	return beforeWhich[before[0]]
}

// wordsOf counts the words of a name.
func wordsOf(name string) int { return len(partsOf(name)) }

// partsOf are the words of a name: runs of capitals are one, as in serveHTTP.
func partsOf(name string) []string {
	var parts []string
	before := rune('_')
	letters := []rune(name)
	for i, r := range letters {
		begins := unicode.IsUpper(r) && (!unicode.IsUpper(before) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		switch {
		case r == '_':
		case begins || before == '_':
			parts = append(parts, string(r))
		default:
			parts[len(parts)-1] += string(r)
		}
		before = r
	}
	return parts
}
