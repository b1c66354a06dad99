package kube

import (
	"context"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// lagging is a client whose reads come from a cache that shows what a test lets it show.
type lagging struct {
	client.Client // the API server
	mu            sync.Mutex
	shown         map[objectRef]client.Object
	reads         int
	// beforeRead is called with the number of each read.
	beforeRead func(int)
	// afterWrite is called before a write's answer arrives.
	afterWrite func()
	// follower hears of what is shown.
	follower func(any)
}

func (l *lagging) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	l.mu.Lock()
	l.reads++
	reads, hook := l.reads, l.beforeRead
	l.mu.Unlock()
	if hook != nil {
		hook(reads)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	shown, ok := l.shown[objectRef{kindOf(object), key}]
	if !ok {
		return apierrors.NewNotFound(corev1.Resource("objects"), key.Name)
	}
	switch o := object.(type) {
	case *v1alpha1.MarketplaceAccount:
		shown.(*v1alpha1.MarketplaceAccount).DeepCopyInto(o)
	case *corev1.Secret:
		shown.(*corev1.Secret).DeepCopyInto(o)
	}
	return nil
}

func (l *lagging) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, object := range l.shown {
		list.(*corev1.SecretList).Items = append(list.(*corev1.SecretList).Items, *object.(*corev1.Secret))
	}
	return nil
}

func (l *lagging) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	err := l.Client.Update(ctx, object, options...)
	if l.afterWrite != nil {
		l.afterWrite()
	}
	return err
}

// show brings the cache up to date with one object, which may be gone.
func (l *lagging) show(object client.Object) {
	ref := refOf(object)
	now := ref.empty()
	now.SetNamespace(ref.key.Namespace)
	now.SetName(ref.key.Name)
	err := l.Client.Get(context.Background(), ref.key, now)
	l.mu.Lock()
	delete(l.shown, ref)
	if err == nil {
		l.shown[ref] = now
	}
	l.mu.Unlock()
	l.follower(now)
}

// stale is a client in front of a cache that lags, and what was read past it.
type stale struct {
	*WithT
	*readYourWrites
	cache *lagging
	live  *counted
}

// counted counts reads of the API server.
type counted struct {
	client.Reader
	reads int
}

func (c *counted) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	c.reads++
	return c.Reader.Get(ctx, key, object, options...)
}

func newStale(t *testing.T, selector string) *stale {
	t.Helper()
	s := &stale{WithT: NewWithT(t)}
	scheme, err := Scheme()
	s.Expect(err).NotTo(HaveOccurred())
	server := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.MarketplaceAccount{}).Build()
	s.cache = &lagging{Client: server, shown: map[objectRef]client.Object{}}
	s.live = &counted{Reader: server}
	parsed, err := labels.Parse(selector)
	s.Expect(err).NotTo(HaveOccurred())
	s.readYourWrites = newReadYourWrites(s.cache, s.live, Shard{Selector: parsed}, &contents{})
	s.cache.follower = s.onEvent
	s.patience = 20 * time.Millisecond
	return s
}

// known creates a Secret that the cache shows.
func (s *stale) known(t *testing.T) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main-grant"}, Data: map[string][]byte{"n": []byte("1")}}
	s.Expect(s.Create(t.Context(), secret)).To(Succeed())
	s.cache.show(secret)
	return secret
}

// read is what a reader of the Secret sees.
func (s *stale) read(t *testing.T, of *corev1.Secret) string {
	t.Helper()
	secret := &corev1.Secret{Data: map[string][]byte{"left over": nil}}
	if err := s.Get(t.Context(), client.ObjectKeyFromObject(of), secret); err != nil {
		s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		return "absent"
	}
	s.Expect(secret.Data).To(HaveLen(1))
	return string(secret.Data["n"])
}

func (s *stale) set(t *testing.T, secret *corev1.Secret, value string) {
	t.Helper()
	secret.Data["n"] = []byte(value)
	s.Expect(s.Update(t.Context(), secret)).To(Succeed())
}

func (s *stale) remembered() int {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	return len(s.pending.writes)
}

func TestAReadShowsTheWriteBeforeIt(t *testing.T) {
	t.Run("as soon as the cache does", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.patience = time.Minute
		s.set(t, secret, "2")
		asked := s.cache.reads
		s.cache.beforeRead = func(read int) {
			if read == asked+1 {
				go s.cache.show(secret)
			}
		}
		s.Expect(s.read(t, secret)).To(Equal("2"))
		s.Expect(s.cache.reads).To(BeNumerically("<=", asked+2), "it waits to be told")
		s.Expect(s.live.reads).To(BeZero(), "the cache was quick enough")
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("past a cache that stays behind, for which is waited once", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.set(t, secret, "2")
		s.Expect(s.read(t, secret)).To(Equal("2"))
		asked := s.cache.reads
		s.Expect(s.read(t, secret)).To(Equal("2"))
		s.Expect(s.cache.reads).To(Equal(asked+2), "whether it is there, and how large it is")
		s.Expect(s.live.reads).To(Equal(2))
		s.cache.show(secret)
		s.Expect(s.read(t, secret)).To(Equal("2"))
		s.Expect(s.live.reads).To(Equal(2))
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("of an object that is new", func(t *testing.T) {
		s := newStale(t, "")
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "new"}, Data: map[string][]byte{"n": []byte("1")}}
		s.Expect(s.Create(t.Context(), secret)).To(Succeed())
		s.Expect(s.read(t, secret)).To(Equal("1"))
	})
	t.Run("and of one that somebody deletes meanwhile nothing", func(t *testing.T) {
		s := newStale(t, "")
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "new"}, Data: map[string][]byte{"n": []byte("1")}}
		s.Expect(s.Create(t.Context(), secret)).To(Succeed())
		s.Expect(s.cache.Client.Delete(t.Context(), secret)).To(Succeed())
		s.Expect(s.read(t, secret)).To(Equal("absent"))
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("also when it is under way", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.patience = time.Minute
		begun, answer, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s.cache.afterWrite = func() {
			close(begun)
			<-answer
		}
		go func() {
			defer close(done)
			s.set(t, secret.DeepCopy(), "2")
		}()
		<-begun
		asked := s.cache.reads
		s.cache.beforeRead = func(read int) {
			if read == asked+1 {
				go func() {
					s.cache.show(secret)
					close(answer)
				}()
			}
		}
		s.Expect(s.read(t, secret)).To(Equal("2"))
		<-done
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("and what others wrote after it", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.set(t, secret, "2")
		secret.Data["n"] = []byte("3")
		s.Expect(s.cache.Client.Update(t.Context(), secret)).To(Succeed())
		s.cache.show(secret)
		s.Expect(s.read(t, secret)).To(Equal("3"))
		s.Expect(s.live.reads).To(BeZero())
	})
	t.Run("in a list", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.patience = time.Minute
		s.set(t, secret, "2")
		asked := s.cache.reads
		s.cache.beforeRead = func(read int) {
			if read == asked+1 {
				go s.cache.show(secret)
			}
		}
		var list corev1.SecretList
		s.Expect(s.List(t.Context(), &list)).To(Succeed())
		s.Expect(list.Items).To(HaveLen(1))
		s.Expect(list.Items[0].Data["n"]).To(BeEquivalentTo("2"))
	})
	t.Run("but a list makes do with a cache that stays behind, for which it waits once", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.set(t, secret, "2")
		var list corev1.SecretList
		s.Expect(s.List(t.Context(), &list)).To(Succeed())
		s.Expect(list.Items).To(HaveLen(1))
		asked := s.cache.reads
		s.Expect(s.List(t.Context(), &list)).To(Succeed())
		s.Expect(s.cache.reads).To(Equal(asked + 1))
		s.Expect(s.read(t, secret)).To(Equal("2"))
	})
	t.Run("unless the reader gives up", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.patience = time.Minute
		s.set(t, secret, "2")
		ctx, cancel := context.WithCancel(t.Context())
		asked := s.cache.reads
		s.cache.beforeRead = func(read int) {
			if read == asked+1 {
				cancel()
			}
		}
		s.Expect(s.Get(ctx, client.ObjectKeyFromObject(secret), &corev1.Secret{})).To(MatchError(context.Canceled))
	})
}

func TestAWriteIsNotRememberedForever(t *testing.T) {
	t.Run("when the watch was quicker than the answer", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.cache.afterWrite = func() { s.cache.show(secret) }
		s.set(t, secret, "2")
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("when what was written is deleted", func(t *testing.T) {
		s := newStale(t, "")
		secret := s.known(t)
		s.set(t, secret, "2")
		s.Expect(s.Delete(t.Context(), secret)).To(Succeed())
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("when nobody reads it again", func(t *testing.T) {
		s := newStale(t, "")
		informers := &informertest.FakeInformers{Scheme: s.Scheme()}
		s.Expect(s.follow(t.Context(), informers)).To(Succeed())
		informer, err := informers.FakeInformerFor(t.Context(), &corev1.Secret{})
		s.Expect(err).NotTo(HaveOccurred())
		secret := s.known(t)
		before := secret.DeepCopy()
		s.set(t, secret, "2")
		informer.Update(before, before)
		s.Expect(s.remembered()).To(Equal(1), "that is not it")
		informer.Delete(before)
		s.Expect(s.remembered()).To(Equal(1), "nor is the end of one before it")
		informer.Update(before, secret)
		s.Expect(s.remembered()).To(BeZero())
	})
}

func TestAStaleCacheOfAccounts(t *testing.T) {
	account := func(s *stale, t *testing.T) *v1alpha1.MarketplaceAccount {
		t.Helper()
		account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", Labels: map[string]string{"shard": "a"}}}
		s.Expect(s.cache.Create(t.Context(), account)).To(Succeed())
		s.cache.show(account)
		before := account.DeepCopy()
		account.Status.TokenSecretName = "written"
		s.Expect(client.WithFieldOwner(s.readYourWrites, "test").Status().Patch(t.Context(), account, client.MergeFrom(before))).To(Succeed())
		return account
	}
	get := func(s *stale, t *testing.T, of *v1alpha1.MarketplaceAccount) (*v1alpha1.MarketplaceAccount, error) {
		t.Helper()
		read := &v1alpha1.MarketplaceAccount{}
		return read, s.Get(t.Context(), client.ObjectKeyFromObject(of), read)
	}
	t.Run("its status is part of it", func(t *testing.T) {
		s := newStale(t, "shard=a")
		read, err := get(s, t, account(s, t))
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(read.Status.TokenSecretName).To(Equal("written"))
	})
	t.Run("one that has left the cache is not looked for", func(t *testing.T) {
		s := newStale(t, "shard=a")
		left := account(s, t)
		clear(s.cache.shown)
		_, err := get(s, t, left)
		s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		s.Expect(s.live.reads).To(BeZero())
		s.Expect(s.remembered()).To(BeZero())
	})
	t.Run("nor one that leaves it unseen, as while a watch is broken", func(t *testing.T) {
		s := newStale(t, "shard=a")
		left := account(s, t)
		s.patience = time.Minute
		asked := s.cache.reads
		s.cache.beforeRead = func(read int) {
			if read == asked+1 {
				go func() {
					s.cache.mu.Lock()
					clear(s.cache.shown)
					s.cache.mu.Unlock()
					s.onEvent(toolscache.DeletedFinalStateUnknown{Key: "shop/main", Obj: left})
				}()
			}
		}
		_, err := get(s, t, left)
		s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		s.Expect(s.live.reads).To(BeZero())
	})
	t.Run("one that is about to leave it is not ours", func(t *testing.T) {
		s := newStale(t, "shard=a")
		left := account(s, t)
		left.Labels["shard"] = "b"
		s.Expect(s.cache.Client.Update(t.Context(), left)).To(Succeed())
		_, err := get(s, t, left)
		s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})
}

func TestNamespacesThatAreNotWatched(t *testing.T) {
	g := NewWithT(t)
	scheme, err := Scheme()
	g.Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main"}}
	everything := fake.NewClientBuilder().WithScheme(scheme).WithObjects(secret).Build()
	for name, test := range map[string]struct {
		namespaces []string
		there      bool
	}{
		"all are watched":     {nil, true},
		"this one is watched": {[]string{"other", "shop"}, true},
		"it is not watched":   {[]string{"other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			reader := namespacedReader{everything, test.namespaces}
			err := reader.Get(t.Context(), client.ObjectKeyFromObject(secret), &corev1.Secret{})
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			g.Expect(err == nil).To(Equal(test.there))
			var list corev1.SecretList
			g.Expect(reader.List(t.Context(), &list, client.InNamespace("shop"))).To(Succeed())
			g.Expect(len(list.Items) == 1).To(Equal(test.there))
		})
	}
}
