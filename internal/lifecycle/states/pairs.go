package states

// Impossible is why an event cannot come to an account in a state; empty where it can.
func Impossible(state State, event Event) string { return impossible[event][state] }

// Why events cannot come.
const (
	noToken      = "there is no access token that counts"
	noCandidate  = "no grant waits to be accepted"
	nothingRests = "no refresh token rests, and no login waits that may be tried again"
	fits         = "a grant that was set aside does not count as misplaced once the spec names its account"
	mustFit      = "nothing is sent before a person has said whose account it is"
	stillRefused = "nothing is sent while a refusal stands"
	asked        = "what is asked for with it was written down before"
	forgotten    = "tokens that have just come end what was refused or restored before"
)

// impossible holds the reasons, by event and state. Simulations fail where one of these happens all the same, and where another never does.
var impossible = map[Event]map[State]string{
	Sending: {Misplaced: mustFit, Refused: stillRefused},
	Issued:  {Misplaced: mustFit, Refused: stillRefused},
	Failed:  {Misplaced: mustFit, Refused: stillRefused},
	IDTokenChecked: {
		Empty: noCandidate, Refused: noCandidate, Expired: noCandidate, Held: noCandidate,
	},
	Identified: {Empty: noToken, Expired: noToken, Refused: forgotten},
	Decided:    {Empty: noCandidate, Refused: noCandidate, Expired: noCandidate, Held: noCandidate},
	AsideUsed:  {Empty: noToken, Misplaced: fits, Sent: asked},
	RestCounted: {
		Sent: nothingRests, Misplaced: nothingRests, Candidate: nothingRests, Refused: nothingRests,
	},
	Tested:       {Empty: noToken, Expired: noToken},
	TokenRefused: {Empty: noToken, Expired: noToken},
}
