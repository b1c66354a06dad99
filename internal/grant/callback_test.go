package grant_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// TestCallbackErrors is what a callback without a code means (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
func TestCallbackErrors(t *testing.T) {
	const state = "Xq3vN7wRzT1mK9pLcB5yHdGfJs"
	tests := map[string]struct {
		code, description string
		want              grant.Error
	}{
		"a no":                    {"access_denied", "The user said no.", grant.Error{Kind: grant.ConsentDenied, Message: "The user said no."}},
		"a no in other words":     {"user_cancelled_authorize", "", grant.Error{Kind: grant.ConsentDenied}},
		"a scope":                 {"invalid_scope", "", grant.Error{Kind: grant.ScopeRejected}},
		"a scope and a text":      {"invalid_scope: orders", "", grant.Error{Kind: grant.ScopeRejected, Code: "invalid_scope"}},
		"an application":          {"unauthorized_client", "", grant.Error{Kind: grant.ApplicationRejected}},
		"a request":               {"invalid_request", "", grant.Error{Kind: grant.InvalidRequest}},
		"a response type":         {"unsupported_response_type", "", grant.Error{Kind: grant.InvalidRequest}},
		"a failure":               {"server_error", "", grant.Error{Kind: grant.Unavailable}},
		"a busy server":           {"temporarily_unavailable", "", grant.Error{Kind: grant.Unavailable}},
		"one that repeats":        {"access_denied", "state " + state + " is over", grant.Error{Kind: grant.ConsentDenied, Message: "state [redacted] is over"}},
		"one that is the state":   {state, "", grant.Error{Kind: grant.ConsentDenied, Code: "-"}},
		"one that is a long text": {"<script>alert(1)</script>", "\x1b[31m", grant.Error{Kind: grant.ConsentDenied, Code: "-", Message: "[31m"}},
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
