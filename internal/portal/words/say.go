package words

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Count says a sentence with a number.
func (t *Texts) Count(sentence Plural, n int) string {
	form := sentence.Many
	switch {
	case n == 1:
		form = sentence.One
	case sentence.Few != "" && n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
		form = sentence.Few
	}
	return Fill(form, "n", strconv.Itoa(n))
}

// At names a marketplace in a sentence.
func (t *Texts) At(marketplace, sentence string) string {
	if marketplace == "" {
		for _, inflected := range slices.Sorted(maps.Keys(t.Unnamed)) { // "bei {marketplace}" comes before "{marketplace}"
			sentence = strings.ReplaceAll(sentence, inflected, t.Unnamed[inflected])
		}
		return capitalised(sentence)
	}
	return Fill(sentence, "marketplace", marketplace) // eBay stays eBay
}

// Date says a day.
func (t *Texts) Date(at time.Time) string {
	at = at.UTC()
	return Fill(t.DateForm, "day", strconv.Itoa(at.Day()), "month", t.Months[at.Month()-1], "year", strconv.Itoa(at.Year()))
}

// Moment says a time of a day. The server does not know the visitor's time zone, so the time is in UTC and says so.
func (t *Texts) Moment(at time.Time) string {
	at = at.UTC()
	return Fill(t.MomentForm, "date", t.Date(at), "time", clockTime(at))
}

// When says a time: without the day where it is today.
func (t *Texts) When(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.Moment(at)
	}
	return Fill(t.ClockForm, "time", clockTime(at))
}

func clockTime(at time.Time) string { return fmt.Sprintf("%d:%02d", at.Hour(), at.Minute()) }

// Fill replaces each {name} by the value that follows the name.
func Fill(text string, pairs ...string) string {
	replacements := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		replacements = append(replacements, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(replacements...).Replace(text)
}

func capitalised(sentence string) string {
	first, size := utf8.DecodeRuneInString(sentence)
	if first == utf8.RuneError {
		return sentence
	}
	return string(unicode.ToUpper(first)) + sentence[size:]
}
