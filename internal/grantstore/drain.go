package grantstore

import (
	"context"
	"sync"

	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// underway counts the requests that spend a refresh token or a code.
type underway struct {
	// requests is held for reading by each of them, and taken for writing by the end.
	requests sync.RWMutex
	// drain begins the end, and drained is closed when it is done.
	drain   sync.Once
	drained chan struct{}
}

// Spend is called before a request that spends a refresh token or a code. It returns false once the process ends: then nothing is sent.
// done is called when the answer is stored or waits in memory.
func (u *underway) Spend() (done func(), ok bool) {
	if !u.requests.TryRLock() {
		return nil, false
	}
	return u.requests.RUnlock, true
}

// Drain ends the spending of refresh tokens and codes, and returns when every answer that was waited for has come and is
// stored, or when ctx ends. A process that ends before that has lost the tokens that the marketplace gave last. wait returns once no
// write is under way, and flush stores every custody that waits in memory; it is called until it succeeds.
func (u *underway) Drain(ctx context.Context, wait func(), flush func(context.Context) error) {
	u.drain.Do(func() {
		go func() {
			defer close(u.drained)
			u.requests.Lock() // and never unlocked: nothing begins any more
			wait()
			RetryUntil(ctx, func(ctx context.Context) (done bool) {
				err := flush(ctx)
				if err != nil {
					logf.FromContext(ctx).Info("Storing what marketplaces gave before the end", "reason", err.Error())
				}
				return err == nil
			})
		}()
	})
	select {
	case <-u.drained:
	case <-ctx.Done():
	}
}
