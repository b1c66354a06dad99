package judge

import (
	"maps"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Report holds the counts of a server, in total and by platform.
type Report struct {
	Total     Tally            `json:"total"`
	Platforms map[string]Tally `json:"platforms"`
}

// Tally holds the counts of a judge since the server began or its report was reset.
type Tally struct {
	// Tokens are the token requests by grant type and outcome. Grant types without a handler are counted as "other".
	Tokens map[string]map[platforms.Outcome]int `json:"tokens"`
	// Requests are all requests by endpoint, token requests included.
	Requests map[platforms.Endpoint]int `json:"requests"`
	// DoubleSpends are requests with a refresh token that had been spent, and its grace was over.
	DoubleSpends int `json:"doubleSpends"`
	// GraceReuses are requests with a spent refresh token within its grace.
	GraceReuses int `json:"graceReuses"`
	// LostPairs are new refresh tokens that are in force although a fault lost the only answer that held them.
	LostPairs int `json:"lostPairs"`
	// AbandonedPairs are the same where no fault did, but the client went away before it had its answer.
	AbandonedPairs int `json:"abandonedPairs"`
	// Codes are the authorization codes, DeviceCodes the device codes, and Starts the states of sign-ins that began in the
	// platform's store.
	Codes       CodeTally `json:"codes"`
	DeviceCodes CodeTally `json:"deviceCodes"`
	Starts      CodeTally `json:"starts"`
	// DevicePolls are the token requests with a device code of the client's, and EarlyPolls those of them that came before
	// the interval was over.
	DevicePolls int `json:"devicePolls"`
	EarlyPolls  int `json:"earlyPolls"`
	// LiveFamilies are the consents that can still be refreshed.
	LiveFamilies int `json:"liveFamilies"`
	// PeakConcurrency is the largest number of token requests that were there at once.
	PeakConcurrency int `json:"peakConcurrency"`
}

// CodeTally counts codes, or states, by their ends.
type CodeTally struct {
	// Issued were given out.
	Issued int `json:"issued"`
	// Used were exchanged for tokens, or for a code.
	Used int `json:"used"`
	// Reused are the requests with a code that had been used, and Expired the requests with a code that had expired.
	Reused  int `json:"reused"`
	Expired int `json:"expired"`
}

// plus adds other to t.
func (t *CodeTally) plus(other CodeTally) {
	t.Issued += other.Issued
	t.Used += other.Used
	t.Reused += other.Reused
	t.Expired += other.Expired
}

// NewTally returns an empty one.
func NewTally() Tally {
	return Tally{Tokens: map[string]map[platforms.Outcome]int{}, Requests: map[platforms.Endpoint]int{}}
}

// Count returns how many token requests of a grant type had an outcome. An empty grant means all, and so does an empty
// outcome.
func (t Tally) Count(grant string, outcome platforms.Outcome) int {
	sum := 0
	for name, outcomes := range t.Tokens {
		for what, count := range outcomes {
			if (grant == "" || grant == name) && (outcome == "" || outcome == what) {
				sum += count
			}
		}
	}
	return sum
}

// count adds a token request.
func (t Tally) count(grant string, outcome platforms.Outcome) {
	if t.Tokens[grant] == nil {
		t.Tokens[grant] = map[platforms.Outcome]int{}
	}
	t.Tokens[grant][outcome]++
}

// clone returns a copy that shares nothing with t.
func (t Tally) clone() Tally {
	tokens := make(map[string]map[platforms.Outcome]int, len(t.Tokens))
	for grant, outcomes := range t.Tokens {
		tokens[grant] = maps.Clone(outcomes)
	}
	t.Tokens, t.Requests = tokens, maps.Clone(t.Requests)
	return t
}

// Plus adds other to t, all but the peak, which is not a sum.
func (t *Tally) Plus(other Tally) {
	for grant, outcomes := range other.Tokens {
		for outcome, count := range outcomes {
			if t.Tokens[grant] == nil {
				t.Tokens[grant] = map[platforms.Outcome]int{}
			}
			t.Tokens[grant][outcome] += count
		}
	}
	for endpoint, count := range other.Requests {
		t.Requests[endpoint] += count
	}
	t.DoubleSpends += other.DoubleSpends
	t.GraceReuses += other.GraceReuses
	t.LostPairs += other.LostPairs
	t.AbandonedPairs += other.AbandonedPairs
	t.Codes.plus(other.Codes)
	t.DeviceCodes.plus(other.DeviceCodes)
	t.Starts.plus(other.Starts)
	t.DevicePolls += other.DevicePolls
	t.EarlyPolls += other.EarlyPolls
	t.LiveFamilies += other.LiveFamilies
}
