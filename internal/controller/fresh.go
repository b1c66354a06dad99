package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// freshPatience is how long a read waits for the cache to show what was written before it: a watch takes a few
// milliseconds, and one that takes a second is broken.
const freshPatience = time.Second

// fresh is a client whose reads from the cache show what was written through it before, or is being written: of accounts and
// Secrets it remembers the versions that it wrote until the cache has shown them. controller-runtime's client compares one version for a kind,
// which holds only where one watch fills the cache: with several namespaces there are as many watches. It may be
// used by many goroutines at once. Apply and DeleteAllOf are not followed, and nobody here uses them.
type fresh struct {
	client.Client
	live client.Reader
	// shard is what the cache was made for, and keeper decides what it holds.
	shard    Shard
	keeper   *keeper
	lanes    *lanes
	patience time.Duration

	mu     sync.Mutex // guards behind
	behind map[written]lag
}

// written names an object that was written.
type written struct {
	kind string
	key  client.ObjectKey
}

// lag is what the cache has not shown yet.
type lag struct {
	// writing is how many writes are under way.
	writing int
	// version is the last one that was written; empty when the cache has shown it.
	version string
	// late tells that somebody has waited for it in vain.
	late bool
	// changed is closed when any of this changes; nil while nobody waits for it.
	changed chan struct{}
}

const (
	kindAccount = "MarketplaceAccount"
	kindSecret  = "Secret"
)

func newFresh(cached client.Client, live client.Reader, shard Shard, keeper *keeper) *fresh {
	lanes := newLanes(cached)
	return &fresh{
		Client: cached, live: throughLanes{live, lanes}, shard: shard, keeper: keeper, lanes: lanes,
		patience: freshPatience, behind: map[written]lag{},
	}
}

// followed is the kind of an object, and empty for what is not followed.
func followed(object any) string {
	switch o := object.(type) {
	case *v1alpha1.MarketplaceAccount, *v1alpha1.MarketplaceAccountList:
		return kindAccount
	case *corev1.Secret, *corev1.SecretList:
		return kindSecret
	case *metav1.PartialObjectMetadata: // of what was written
		if o.GroupVersionKind() == v1alpha1.GroupVersion.WithKind(kindAccount) {
			return kindAccount
		}
	}
	return ""
}

func (w written) empty() client.Object {
	if w.kind == kindAccount {
		return &v1alpha1.MarketplaceAccount{}
	}
	return &corev1.Secret{}
}

// Get implements client.Reader. Where the cache stays behind, or does not hold all of a Secret, the API server is asked.
func (f *fresh) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := f.getCached(ctx, key, object, options...)
	if secret, ok := object.(*corev1.Secret); ok && err == nil && !isHeld(secret) {
		return f.getLive(ctx, written{kindSecret, key}, object)
	}
	return err
}

func (f *fresh) getCached(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	w := written{followed(object), key}
	if _, waits := f.lagOf(w); !waits {
		return f.Client.Get(ctx, key, object, options...)
	}
	var read error
	caughtUp := func() bool {
		read = f.Client.Get(ctx, key, object, options...)
		return f.shown(w, object, read)
	}
	waiting, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	switch err := f.await(ctx, waiting, w, caughtUp); {
	case err == nil:
		return read
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return f.getLive(ctx, w, object)
}

// await waits for the cache until waiting ends, and once for each lag. What ends with ctx was not waited for.
func (f *fresh) await(ctx, waiting context.Context, w written, caughtUp func() bool) error {
	if lag, waits := f.lagOf(w); waits && lag.late {
		if caughtUp() {
			return nil
		}
		return context.DeadlineExceeded
	}
	for {
		changed := f.changed(w)
		if caughtUp() {
			return nil
		}
		select {
		case <-changed:
		case <-waiting.Done():
			if ctx.Err() == nil {
				f.change(w, func(l *lag) { l.late = l.version != "" })
			}
			return waiting.Err()
		}
	}
}

// changed returns a channel that is closed when something changes; it is closed already where nothing is waited for.
func (f *fresh) changed(w written) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, waits := f.behind[w]
	if !waits {
		done := make(chan struct{})
		close(done)
		return done
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
		f.behind[w] = l
	}
	return l.changed
}

// shown tells whether what the cache answered is at or past what was written, and forgets what was. An answer that
// is an error needs no waiting for.
func (f *fresh) shown(w written, object client.Object, err error) bool {
	switch {
	case err == nil:
		f.saw(w, object.GetResourceVersion())
	case !apierrors.IsNotFound(err):
		return true
	case w.kind == kindAccount: // users create them, so it is gone, or not ours any more
		f.forget(w)
	}
	_, waits := f.lagOf(w)
	return !waits
}

// getLive reads past the cache.
func (f *fresh) getLive(ctx context.Context, w written, object client.Object) error {
	switch o := object.(type) { // the answer is decoded on top of what is there
	case *v1alpha1.MarketplaceAccount:
		*o = v1alpha1.MarketplaceAccount{}
	case *corev1.Secret:
		*o = corev1.Secret{}
	}
	err := f.live.Get(ctx, w.key, object)
	if apierrors.IsNotFound(err) {
		f.forget(w)
	}
	if err == nil && w.kind == kindAccount && f.shard.Selector != nil && !f.shard.Selector.Matches(labels.Set(object.GetLabels())) {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("marketplaceaccounts").GroupResource(), w.key.Name)
	}
	return err
}

// List implements client.Reader. It waits for what was written before, and then makes do with what the cache holds.
func (f *fresh) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if kind := followed(list); kind != "" {
		waiting, cancel := context.WithTimeout(ctx, f.patience)
		defer cancel()
		for _, w := range f.waiting(kind) {
			object := w.empty()
			_ = f.await(ctx, waiting, w, func() bool {
				return f.shown(w, object, f.Client.Get(ctx, w.key, object, client.UnsafeDisableDeepCopy))
			})
		}
	}
	return f.Client.List(ctx, list, options...)
}

func (f *fresh) waiting(kind string) []written {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []written
	for w := range f.behind {
		if w.kind == kind {
			all = append(all, w)
		}
	}
	return all
}

func (f *fresh) lagOf(w written) (lag, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, waits := f.behind[w]
	return found, waits
}

// change changes a lag, tells those who wait, and drops one that is none.
func (f *fresh) change(w written, change func(*lag)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.behind[w]
	before := l
	change(&l)
	if l != before && l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	if l.writing == 0 && l.version == "" {
		delete(f.behind, w)
		return
	}
	f.behind[w] = l
}

// saw forgets what the cache has shown.
func (f *fresh) saw(w written, version string) {
	f.change(w, func(l *lag) {
		if !newer(l.version, version) {
			l.version, l.late = "", false
		}
	})
}

func (f *fresh) forget(w written) {
	f.change(w, func(l *lag) { l.version, l.late = "", false })
}

// newer tells whether a version is later than another. Of one that is no number nothing is known.
func newer(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order > 0
}

// write remembers the version that a write makes, and meanwhile that there is one.
func (f *fresh) write(ctx context.Context, object client.Object, write func() error) error {
	w := written{followed(object), client.ObjectKeyFromObject(object)}
	if w.kind == "" {
		return write()
	}
	leave, err := f.lanes.enter(ctx, w.key, object)
	if err != nil {
		return err
	}
	defer leave()
	f.change(w, func(l *lag) { l.writing++ })
	err = write()
	f.change(w, func(l *lag) {
		l.writing--
		if version := object.GetResourceVersion(); err == nil && (l.version == "" || newer(version, l.version)) {
			l.version, l.late = version, false
		}
	})
	if err != nil {
		return err
	}
	// The watch may have been quicker than the answer.
	cached := w.empty()
	if err := f.Client.Get(ctx, w.key, cached, client.UnsafeDisableDeepCopy); err == nil {
		f.saw(w, cached.GetResourceVersion())
	}
	return nil
}

// Create implements client.Writer.
func (f *fresh) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return f.write(ctx, object, func() error { return f.Client.Create(ctx, object, options...) })
}

// Update implements client.Writer.
func (f *fresh) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	return f.write(ctx, object, func() error { return f.Client.Update(ctx, object, options...) })
}

// Patch implements client.Writer.
func (f *fresh) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return f.write(ctx, object, func() error { return f.Client.Patch(ctx, object, patch, options...) })
}

// Delete implements client.Writer. What was written before does not matter any more.
func (f *fresh) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	err := f.Client.Delete(ctx, object, options...)
	if err == nil {
		f.forget(written{followed(object), client.ObjectKeyFromObject(object)})
	}
	return err
}

// Status implements client.StatusClient.
func (f *fresh) Status() client.SubResourceWriter { return f.SubResource("status") }

// SubResource implements client.SubResourceClientConstructor.
func (f *fresh) SubResource(name string) client.SubResourceClient {
	return freshPart{f.Client.SubResource(name), f}
}

// freshPart is the same for the status of an object, which has the object's version.
type freshPart struct {
	client.SubResourceClient
	fresh *fresh
}

// Update implements client.SubResourceWriter.
func (p freshPart) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	return p.fresh.write(ctx, object, func() error { return p.SubResourceClient.Update(ctx, object, options...) })
}

// Patch implements client.SubResourceWriter.
func (p freshPart) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return p.fresh.write(ctx, object, func() error { return p.SubResourceClient.Patch(ctx, object, patch, options...) })
}

// follow hears from the cache what it shows, so that nothing is remembered that nobody reads again.
func (f *fresh) follow(ctx context.Context, informers cache.Informers) error {
	for _, object := range []client.Object{&v1alpha1.MarketplaceAccount{}, &corev1.Secret{}} {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("preparing the cache: %w", err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: f.see, UpdateFunc: func(_, now any) { f.see(now) }, DeleteFunc: f.see,
		}); err != nil {
			return fmt.Errorf("following the cache: %w", err)
		}
	}
	return nil
}

// see hears of something that the cache shows, or does not show any more.
func (f *fresh) see(event any) {
	switch e := event.(type) {
	case client.Object:
		f.saw(written{followed(e), client.ObjectKeyFromObject(e)}, e.GetResourceVersion())
	case toolscache.DeletedFinalStateUnknown: // nobody knows at which version
		if account, ok := e.Obj.(*v1alpha1.MarketplaceAccount); ok {
			f.forget(written{kindAccount, client.ObjectKeyFromObject(account)})
		}
	}
}

// within reads from a cache that holds some namespaces: of others there is nothing, where the cache would fail.
type within struct {
	client.Reader
	namespaces []string
}

func (r within) holds(namespace string) bool {
	return namespace == "" || len(r.namespaces) == 0 || slices.Contains(r.namespaces, namespace)
}

// Get implements client.Reader.
func (r within) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if !r.holds(key.Namespace) {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("").GroupResource(), key.String())
	}
	return r.Reader.Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (r within) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if !r.holds((&client.ListOptions{}).ApplyOptions(options).Namespace) {
		return nil
	}
	return r.Reader.List(ctx, list, options...)
}
