package words

import (
	"golang.org/x/text/language"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Texts are all the words of one language. In a text {name} stands for a value that Fill puts there.
type Texts struct {
	Tag language.Tag
	// Months are the names of the months in a date; DateForm and MomentForm put it together. ClockForm is a time of today.
	Months                          [12]string
	DateForm, MomentForm, ClockForm string
	// Unnamed are the words for a marketplace in a sentence where its name is not known, by the placeholder that they replace;
	// some languages inflect them.
	Unnamed map[string]string

	// Frame of every page.
	ToAccounts, Leave, SignedInAs string
	RunBy, Questions              string

	// The page that asks for a token.
	EnterTitle, EnterSays, EnterLabel, EnterButton, EnterLink, EnterHelp, EnterAudience string
	Sessions                                                                            map[string]string

	// The list.
	ListTitle, ListEmpty, ListEmptyDo, ListReload, ListInOrder string
	ListMore                                                   string
	NeedPerson, DoNotWork                                      Plural
	Account, Seller, SellerID, GivenName, Environment          string
	// Quoted are the words of the author of an account, marked as unverified.
	Quoted                                        string
	Details                                       string
	SignIn, SignInAgain, RenewNow, TestConnection string
	RenewAsked, TestAsked, SignInAsked, LinkAsked string
	CodeEnter, CodeCheck, CodeOpen                string
	CodeEnds                                      Plural
	NoAddress                                     string
	Renewed, NotRenewed, NothingRenewed           string

	// The status in words.
	Authenticated, RenewsItself, MoreScopes      string
	ExpiresInDays                                Plural // from two days on; One is "within a day"
	WorksForMinutes, WorksForHours, WorksForDays Plural
	ApplicationInDays                            Plural
	ApplicationEnded                             string
	Reasons                                      map[string]Reason
	// Tests are how a test of the connection went. Where nothing but a sign-in helps: OthersSignIn is for visitors without the
	// right to begin it, SuspendedAsk for an account with its renewal switched off.
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
	DoneNobody                            string // the marketplace does not name the seller that signed in
	DoneUnconfirmedTitle, DoneUnconfirmed string
	DoneScopes, DoneScopesDo              string

	// The page of a problem.
	TryAgain string
	// BeginAgain is how to try again where no button does.
	BeginAgain string
	Problems   map[signin.Problem]Explanation
}

// Reason explains a condition's reason to people in a shop.
type Reason struct {
	// Says is the state of the account.
	Says string
	// Do is the advice; empty when there is nothing to do.
	Do string
	// Otherwise is the advice where no button signs the account in; empty when it is the same.
	Otherwise string
}

// Explanation is the text of a problem: a title, the cause, and how to go on.
type Explanation struct{ Title, Says, Do string }

// Plural is a sentence with a number {n}. Few is of Polish alone.
type Plural struct{ One, Few, Many string }
