package grant

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// unreachable describes a request that got no answer.
func (a attempt) unreachable(err error) *answer.Error {
	unknown := answer.Facts{Sent: a.sent, SingleUse: a.singleUse}.Verdict() == answer.Unknown
	return &answer.Error{Kind: answer.Unavailable, Message: a.whyUnreachable(err), OutcomeUnknown: unknown}
}

// whyUnreachable puts a network error into words. It never uses the text of a url.Error, which holds the
// whole URL.
func (a attempt) whyUnreachable(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the marketplace's certificate is not trusted: " + bounded(certificate.Err.Error(), maxDescription)
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return "looking up the marketplace's host: " + bounded(lookup.Error(), maxDescription)
	}
	switch {
	case errors.Is(err, outgoing.ErrPrivateAddress): // without the address, which the text of the dialling holds
		return outgoing.ErrPrivateAddress.Error()
	case errors.Is(err, context.Canceled):
		return "asking the marketplace was interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return "the marketplace did not answer in time"
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return "connecting to the marketplace: " + bounded(dial.Error(), maxDescription)
	}
	const failed = "the connection to the marketplace failed"
	if why := cleanDescription(err.Error(), a.secrets); why != "" {
		return failed + ": " + why
	}
	return failed
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
