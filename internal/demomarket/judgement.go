package demomarket

// judgement tells how a request used its refresh token.
type judgement int

const (
	ordinary judgement = iota
	reusedInGrace
	spentTwice
)
