package tokens

// Judgement tells how a request used its refresh token.
type Judgement int

// The judgements: an unspent token, a spent one within its grace, and a spent one after it.
const (
	Ordinary Judgement = iota
	ReusedInGrace
	SpentTwice
)
