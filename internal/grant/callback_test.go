package grant_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// TestCallbackErrors is what a callback without a code means (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
func TestCallbackErrors(t *testing.T) {
	const state = "Xq3vN7wRzT1mK9pLcB5yHdGfJs"
	tests := map[string]struct {
		code, description string
		want              answer.Error
	}{
		"a no":                    {"access_denied", "The user said no.", answer.Error{Kind: answer.ConsentDenied, Message: "The user said no."}},
		"a no in other words":     {"user_cancelled_authorize", "", answer.Error{Kind: answer.ConsentDenied}},
		"a scope":                 {"invalid_scope", "", answer.Error{Kind: answer.ScopeRejected}},
		"a scope and a text":      {"invalid_scope: orders", "", answer.Error{Kind: answer.ScopeRejected, Code: "invalid_scope"}},
		"an application":          {"unauthorized_client", "", answer.Error{Kind: answer.ApplicationRejected}},
		"a request":               {"invalid_request", "", answer.Error{Kind: answer.InvalidRequest}},
		"a response type":         {"unsupported_response_type", "", answer.Error{Kind: answer.InvalidRequest}},
		"a failure":               {"server_error", "", answer.Error{Kind: answer.Unavailable}},
		"a busy server":           {"temporarily_unavailable", "", answer.Error{Kind: answer.Unavailable}},
		"one that repeats":        {"access_denied", "state " + state + " is over", answer.Error{Kind: answer.ConsentDenied, Message: "state [redacted] is over"}},
		"one that is the state":   {state, "", answer.Error{Kind: answer.ConsentDenied, Code: "-"}},
		"one that is a long text": {"<script>alert(1)</script>", "\x1b[31m", answer.Error{Kind: answer.ConsentDenied, Code: "-", Message: "[31m"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := test.want
			switch want.Code {
			case "": // most are shown as they came
				want.Code = test.code
			case "-":
				want.Code = ""
			}
			got := grant.CallbackError(test.code, test.description, state)
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
