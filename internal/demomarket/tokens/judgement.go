package tokens

// Judgement tells how a request used its refresh token.
type Judgement int

const (
	Ordinary Judgement = iota
	ReusedInGrace
	SpentTwice
)
