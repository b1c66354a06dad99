package grant

import (
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

// unreachable describes a request that got no answer.
func (a attempt) unreachable(err error) *answer.Error {
	unknown := answer.Facts{Sent: a.sent, SingleUse: a.singleUse}.Verdict() == answer.Unknown
	return &answer.Error{Kind: answer.Unavailable, Message: redact.NetworkError(err, a.secrets), OutcomeUnknown: unknown}
}
