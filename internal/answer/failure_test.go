package answer_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

func TestWhatAFailureSays(t *testing.T) {
	tests := map[string]struct {
		failure answer.Error
		want    string
	}{
		"no answer":                          {answer.Error{Message: "the connection was refused"}, "the connection was refused"},
		"an answer without a code":           {answer.Error{Status: 502, Message: "an answer that cannot be used"}, "an answer that cannot be used"},
		"a code, and what it means":          {answer.Error{Code: "invalid_grant", Status: 400, Message: "the token has expired"}, "invalid_grant: the token has expired (HTTP 400)"},
		"a code alone":                       {answer.Error{Code: "invalid_grant", Status: 400}, "invalid_grant (HTTP 400)"},
		"a description that repeats it":      {answer.Error{Code: "invalid_grant", Status: 400, Message: "Invalid grant."}, "invalid_grant (HTTP 400)"},
		"of a callback, which has no status": {answer.Error{Code: "access_denied", Message: "The user said no."}, "access_denied: The user said no."},
		"a callback with a code alone":       {answer.Error{Code: "access_denied"}, "access_denied"},
		"a callback that repeats it":         {answer.Error{Code: "access_denied", Message: "Access-denied!"}, "access_denied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.failure.Error(); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

// TestWhichFailuresPass is the two lists of kinds: what somebody must cure, and what asking later may.
func TestWhichFailuresPass(t *testing.T) {
	for kind, want := range map[answer.Kind]bool{
		answer.GrantRejected: false, answer.PasswordRejected: false, answer.AccountLocked: false, answer.ApplicationRejected: false,
		answer.ScopeRejected: false, answer.InvalidRequest: false, answer.ConsentDenied: false, answer.CodeExpired: false,
		answer.Throttled: true, answer.Unavailable: true, answer.Malformed: true, answer.Pending: true, answer.SlowDown: true,
	} {
		if got := (&answer.Error{Kind: kind}).Passes(); got != want {
			t.Errorf("%s passes by itself: %t", kind, got)
		}
	}
}

// A firewall refuses as a platform does, so that such an answer is no verdict on a login or an application (docs/faults.md).
func TestRefusalsThatNobodyExplains(t *testing.T) {
	tests := map[string]struct {
		failure answer.Error
		want    bool
	}{
		"401 and nothing else":                  {answer.Error{Kind: answer.Unavailable, Status: 401}, true},
		"403 and nothing else":                  {answer.Error{Kind: answer.Unavailable, Status: 403}, true},
		"another 4xx":                           {answer.Error{Kind: answer.Unavailable, Status: 404}, false},
		"no answer":                             {answer.Error{Kind: answer.Unavailable}, false},
		"401 with a code that means later":      {answer.Error{Kind: answer.Unavailable, Status: 401, Code: "temporarily_unavailable"}, false},
		"403 that the Marketplace gives a kind": {answer.Error{Kind: answer.AccountLocked, Status: 403}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.failure.WithoutCode(); got != test.want {
				t.Errorf("nobody explains it: %t", got)
			}
		})
	}
}

func TestEveryErrorIsAFailure(t *testing.T) {
	rejected := &answer.Error{Kind: answer.GrantRejected, Code: "invalid_grant"}
	if got := answer.AsError(fmt.Errorf("renewing: %w", rejected)); got != rejected {
		t.Errorf("a failure inside of an error becomes %+v", got)
	}
	other := answer.AsError(errors.New("dial tcp: lookup secret-host"))
	if other.Kind != answer.Unavailable || !other.Passes() || other.Error() != "asking the marketplace: unexpected failure" {
		t.Errorf("another error becomes %+v: its text is not shown", other)
	}
}
