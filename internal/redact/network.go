package redact

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// NetworkError puts a network error into words, without the secrets of the request. It never uses the text of a url.Error, which holds the
// whole URL.
func NetworkError(err error, secrets []string) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the marketplace's certificate is not trusted: " + short(certificate.Err.Error())
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return "looking up the marketplace's host: " + short(lookup.Error())
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
		return "connecting to the marketplace: " + short(dial.Error())
	}
	const failed = "the connection to the marketplace failed"
	if why := Description(err.Error(), secrets); why != "" {
		return failed + ": " + why
	}
	return failed
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
