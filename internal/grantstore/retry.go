package grantstore

import (
	"context"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
)

var (
	// backoff is how a write is tried again before the custody waits in memory.
	backoff = wait.Backoff{Steps: 6, Duration: 50 * time.Millisecond, Factor: 3, Jitter: 0.1}
	// conflictBackoff is how a small write is tried again on top of another writer's.
	conflictBackoff = wait.Backoff{Steps: 8, Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5}
	// untilBackoff is how reading and writing is tried again while a browser waits, and before the process ends.
	untilBackoff = wait.Backoff{Steps: 20, Duration: 20 * time.Millisecond, Factor: 2, Jitter: 0.2, Cap: time.Second}
)

// RetryOn reads and writes again, a few times within some seconds, after an error that again lets pass.
func RetryOn(again func(error) bool, readAndWrite func() error) error {
	return retry.OnError(conflictBackoff, again, readAndWrite)
}

// RetryUntil calls try until it is done or ctx ends, at first at once and then once a second.
func RetryUntil(ctx context.Context, try func(context.Context) (done bool)) {
	_ = untilBackoff.DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) { // only ctx ends it early
		return try(ctx), nil
	})
}

// MayPass tells whether writing the same again may succeed.
func MayPass(err error) bool {
	network, isNetwork := errors.AsType[net.Error](err)
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || isNetwork && network != nil
}
