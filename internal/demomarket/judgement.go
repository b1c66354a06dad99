package demomarket

// judgement is what the refresh tokens had to say about a request.
type judgement int

const (
	ordinary judgement = iota
	reusedInGrace
	spentTwice
)
