package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// readYourWrites is a client that reads its own writes from the cache, also those under way: of accounts and Secrets it
// remembers the versions that it wrote until the cache has shown them. controller-runtime's client compares one version for a kind,
// which holds only where one watch fills the cache: with several namespaces there are as many watches. It may be
// used by many goroutines at once. Apply and DeleteAllOf are not followed, and the operator does not use them.
type readYourWrites struct {
	client.Client
	live client.Reader
	// shard selects the objects of the cache, and contents the fields that it holds.
	shard    Shard
	contents *contents
	large    *largeObjects
	patience time.Duration
	pending  pendingWrites
}

func newReadYourWrites(cached client.Client, live client.Reader, shard Shard, contents *contents) *readYourWrites {
	large := newLargeObjects(cached)
	return &readYourWrites{
		Client: cached, live: largeReader{live, large}, shard: shard, contents: contents, large: large, patience: timeouts.CatchUp,
	}
}

// Get implements client.Reader. Where the cache stays behind, or does not hold all of a Secret, the API server is asked.
func (c *readYourWrites) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := c.getCached(ctx, key, object, options...)
	if secret, ok := object.(*corev1.Secret); ok && err == nil && !isHeld(secret) {
		return c.getLive(ctx, objectRef{kindSecret, key}, object)
	}
	return err
}

func (c *readYourWrites) getCached(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	ref := objectRef{kindOf(object), key}
	if _, pending := c.pending.of(ref); !pending {
		return c.Client.Get(ctx, key, object, options...)
	}
	var read error
	caughtUp := func() bool {
		read = c.Client.Get(ctx, key, object, options...)
		return c.shows(ref, object, read)
	}
	waiting, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	switch err := c.await(ctx, waiting, ref, caughtUp); {
	case err == nil:
		return read
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return c.getLive(ctx, ref, object)
}

// await waits for the cache until waiting ends, and once for each pending write. A wait that ends with ctx does not count.
func (c *readYourWrites) await(ctx, waiting context.Context, ref objectRef, caughtUp func() bool) error {
	if write, pending := c.pending.of(ref); pending && write.timedOut {
		if caughtUp() {
			return nil
		}
		return context.DeadlineExceeded
	}
	for {
		changed := c.pending.changed(ref)
		if caughtUp() {
			return nil
		}
		select {
		case <-changed:
		case <-waiting.Done():
			if ctx.Err() == nil {
				c.pending.timeOut(ref)
			}
			return waiting.Err()
		}
	}
}

// shows tells whether the object that the cache returned is at or past the last write, and forgets the writes that are shown. For an
// error of the cache there is no waiting.
func (c *readYourWrites) shows(ref objectRef, object client.Object, err error) bool {
	switch {
	case err == nil:
		c.pending.shown(ref, object.GetResourceVersion())
	case !apierrors.IsNotFound(err):
		return true
	case ref.kind == kindAccount: // users create them, so it is gone, or not ours any more
		c.pending.forget(ref)
	}
	_, pending := c.pending.of(ref)
	return !pending
}

// getLive reads past the cache.
func (c *readYourWrites) getLive(ctx context.Context, ref objectRef, object client.Object) error {
	switch o := object.(type) { // the answer is decoded on top of the fields that are set
	case *v1alpha1.MarketplaceAccount:
		*o = v1alpha1.MarketplaceAccount{}
	case *corev1.Secret:
		*o = corev1.Secret{}
	}
	err := c.live.Get(ctx, ref.key, object)
	if apierrors.IsNotFound(err) {
		c.pending.forget(ref)
	}
	if err == nil && ref.kind == kindAccount && c.shard.Selector != nil && !c.shard.Selector.Matches(labels.Set(object.GetLabels())) {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("marketplaceaccounts").GroupResource(), ref.key.Name)
	}
	return err
}

// List implements client.Reader. It waits until the cache shows the writes before, or its patience ends; then the cache answers as it is.
func (c *readYourWrites) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if kind := kindOf(list); kind != "" {
		waiting, cancel := context.WithTimeout(ctx, c.patience)
		defer cancel()
		for _, ref := range c.pending.ofKind(kind) {
			object := ref.empty()
			_ = c.await(ctx, waiting, ref, func() bool {
				return c.shows(ref, object, c.Client.Get(ctx, ref.key, object, uncopied(object)...))
			})
		}
	}
	return c.Client.List(ctx, list, options...)
}

// write remembers the version that a write makes, and meanwhile that there is one.
func (c *readYourWrites) write(ctx context.Context, object client.Object, write func() error) error {
	ref := refOf(object)
	if ref.kind == "" {
		return write()
	}
	release, err := c.large.acquire(ctx, ref.key, object)
	if err != nil {
		return err
	}
	defer release()
	c.pending.begin(ref)
	if err := write(); err != nil {
		c.pending.end(ref, "")
		return err
	}
	c.pending.end(ref, object.GetResourceVersion())
	// The watch may have been quicker than the answer.
	cached := ref.empty()
	if err := c.Client.Get(ctx, ref.key, cached, uncopied(cached)...); err == nil {
		c.pending.shown(ref, cached.GetResourceVersion())
	}
	return nil
}

// Create implements client.Writer.
func (c *readYourWrites) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return c.write(ctx, object, func() error { return c.Client.Create(ctx, object, options...) })
}

// Update implements client.Writer.
func (c *readYourWrites) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	return c.write(ctx, object, func() error { return c.Client.Update(ctx, object, options...) })
}

// Patch implements client.Writer.
func (c *readYourWrites) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return c.write(ctx, object, func() error { return c.Client.Patch(ctx, object, patch, options...) })
}

// Delete implements client.Writer. Writes before it need not be shown any more.
func (c *readYourWrites) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	err := c.Client.Delete(ctx, object, options...)
	if err == nil {
		c.pending.forget(refOf(object))
	}
	return err
}

// Status implements client.StatusClient.
func (c *readYourWrites) Status() client.SubResourceWriter { return c.SubResource("status") }

// SubResource implements client.SubResourceClientConstructor.
func (c *readYourWrites) SubResource(name string) client.SubResourceClient {
	return subresourceClient{c.Client.SubResource(name), c}
}

// subresourceClient does the same for the status of an object, which has the object's version.
type subresourceClient struct {
	client.SubResourceClient
	whole *readYourWrites
}

// Update implements client.SubResourceWriter.
func (s subresourceClient) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	return s.whole.write(ctx, object, func() error { return s.SubResourceClient.Update(ctx, object, options...) })
}

// Patch implements client.SubResourceWriter.
func (s subresourceClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return s.whole.write(ctx, object, func() error { return s.SubResourceClient.Patch(ctx, object, patch, options...) })
}

// follow listens to the changes of the cache, so that no write is remembered of an object that is not read again.
func (c *readYourWrites) follow(ctx context.Context, informers cache.Informers) error {
	for _, object := range []client.Object{&v1alpha1.MarketplaceAccount{}, &corev1.Secret{}} {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("preparing the cache: %w", err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: c.onEvent, UpdateFunc: func(_, now any) { c.onEvent(now) }, DeleteFunc: c.onEvent,
		}); err != nil {
			return fmt.Errorf("following the cache: %w", err)
		}
	}
	return nil
}

// onEvent takes note of an object that the cache shows, or does not show any more.
func (c *readYourWrites) onEvent(event any) {
	switch e := event.(type) {
	case client.Object:
		c.pending.shown(refOf(e), e.GetResourceVersion())
	case toolscache.DeletedFinalStateUnknown: // its last version is not known
		if account, ok := e.Obj.(*v1alpha1.MarketplaceAccount); ok {
			c.pending.forget(refOf(account))
		}
	}
}
