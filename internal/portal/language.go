package portal

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// languages are those that the portal speaks. The first is for everybody else.
func languages() []*texts { return []*texts{english(), german(), polish()} }

// texts are all the words of one language. In a text {name} stands for what is filled in.
type texts struct {
	Tag language.Tag
	// Months are the names of the months in a date; Date and Moment put it together. Clock is a time of today.
	Months              [12]string
	Date, Moment, Clock string
	// Unnamed is what a sentence says instead of the marketplace where its name is not known; some languages inflect it.
	Unnamed map[string]string

	// Frame of every page.
	ToAccounts, Leave, SignedInAs string
	RunBy, Questions              string

	// The page that asks for a token.
	EnterTitle, EnterSays, EnterLabel, EnterButton, EnterLink, EnterHelp, EnterAudience string
	Sessions                                                                            map[sessionError]string

	// The list.
	ListTitle, ListEmpty, ListEmptyDo, ListReload, ListInOrder string
	ListMore                                                   string
	NeedPerson, DoNotWork                                      plural
	Account, Seller, SellerID, GivenName, Environment          string
	Details                                                    string
	SignIn, SignInAgain, RenewNow, TestConnection              string
	RenewAsked, TestAsked, SignInAsked, LinkAsked              string
	CodeEnter, CodeCheck, CodeOpen                             string
	CodeEnds                                                   plural
	NoAddress                                                  string
	Renewed, NotRenewed, NothingRenewed                        string

	// The status in words.
	Authenticated, RenewsItself, MoreScopes      string
	ExpiresInDays                                plural // from two days on; One is "within a day"
	WorksForMinutes, WorksForHours, WorksForDays plural
	ApplicationInDays                            plural
	ApplicationEnded                             string
	Reasons                                      map[string]reason
	// Tests are how a test of the connection went. Where nothing but a sign-in helps: OthersSignIn is for visitors who may
	// not begin it, SuspendedAsk for an account for which nobody may.
	Tests                      map[v1alpha1.ConnectionTestResult]string
	OthersSignIn, SuspendedAsk string

	// The page of a link.
	OfferTitle, OfferSays, OfferExpected, OfferAnybody, OfferHow string
	OfferGo, OfferLogIn, OfferLogInAs, OfferSwitch, OfferAgree   string
	OfferEnds, OfferButton                                       string
	LeavingTitle, LeavingSays                                    string

	// The page of an app store.
	StoreTitle, StoreSays, StoreNone, StoreSame string

	// The result.
	DoneTitle, DoneSays, DoneClose        string
	DoneNobody                            string // the marketplace does not say who signed in
	DoneUnconfirmedTitle, DoneUnconfirmed string
	DoneScopes, DoneScopesDo              string

	// What went wrong.
	TryAgain string
	// BeginAgain is how to try again where no button does.
	BeginAgain string
	Problems   map[signin.Problem]explanation
}

// reason is what a condition's reason means to people in a shop.
type reason struct {
	// Says is what holds.
	Says string
	// Do is what to do about it; empty when nothing is.
	Do string
	// Otherwise is what to do where no button signs the account in; empty when it is the same.
	Otherwise string
}

// explanation is what happened, and so what to do.
type explanation struct{ Title, Says, Do string }

// plural is a sentence with a number {n}. Few is of Polish alone.
type plural struct{ One, Few, Many string }

// count says a sentence with a number.
func (t *texts) count(sentence plural, n int) string {
	form := sentence.Many
	switch {
	case n == 1:
		form = sentence.One
	case sentence.Few != "" && n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
		form = sentence.Few
	}
	return fill(form, "n", strconv.Itoa(n))
}

// at names a marketplace in a sentence.
func (t *texts) at(marketplace, sentence string) string {
	if marketplace == "" {
		for _, inflected := range slices.Sorted(maps.Keys(t.Unnamed)) { // "bei {marketplace}" comes before "{marketplace}"
			sentence = strings.ReplaceAll(sentence, inflected, t.Unnamed[inflected])
		}
		return capitalised(sentence)
	}
	return fill(sentence, "marketplace", marketplace) // eBay stays eBay
}

// date says a day.
func (t *texts) date(at time.Time) string {
	at = at.UTC()
	return fill(t.Date, "day", strconv.Itoa(at.Day()), "month", t.Months[at.Month()-1], "year", strconv.Itoa(at.Year()))
}

// moment says a time of a day. Nobody tells the server where the visitor is, so it is in UTC and says so.
func (t *texts) moment(at time.Time) string {
	at = at.UTC()
	return fill(t.Moment, "date", t.date(at), "time", clockTime(at))
}

// when says a time: without the day where it is today.
func (t *texts) when(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.moment(at)
	}
	return fill(t.Clock, "time", clockTime(at))
}

func clockTime(at time.Time) string { return fmt.Sprintf("%d:%02d", at.Hour(), at.Minute()) }

// fill replaces each {name} by the value that follows the name.
func fill(text string, pairs ...string) string {
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

// speech chooses the language of an answer.
type speech struct {
	matcher language.Matcher
	spoken  []*texts
}

func newSpeech() *speech {
	s := &speech{spoken: languages()}
	tags := make([]language.Tag, 0, len(s.spoken))
	for _, texts := range s.spoken {
		tags = append(tags, texts.Tag)
	}
	s.matcher = language.NewMatcher(tags)
	return s
}

// to returns the language of the visitor who sent a request.
func (s *speech) to(r *http.Request) *texts {
	accepted := r.Header.Get("Accept-Language")
	if len(accepted) > maxAcceptLanguage {
		accepted = accepted[:max(0, strings.LastIndex(accepted[:maxAcceptLanguage], ","))]
	}
	_, index := language.MatchStrings(s.matcher, accepted)
	return s.spoken[index]
}
