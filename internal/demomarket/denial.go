package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"

// denial is a handler's no, and its words for it where the platform has none.
type denial struct {
	outcome platforms.Outcome
	words   string
}

// deny returns a denial.
func deny(outcome platforms.Outcome, words string) *denial {
	return &denial{outcome: outcome, words: words}
}
