package grantstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// cluster is an API server whose writes fail as a test wants.
type cluster struct {
	// memory owns what the store knows of accounts.
	memory accountmemory.Owner
	*WithT
	t      *testing.T
	client client.Client
	// failures are the errors of the next writes, writes how many there were, and own how many of them the controller knows of.
	failures    []error
	writes, own int
	store       *grantstore.Store
}

var (
	busy = apierrors.NewServiceUnavailable("busy")
	full = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "main-grant", errors.New("exceeded quota"))
)

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{WithT: NewWithT(t), t: t}
	scheme, err := kube.Scheme()
	c.Expect(err).NotTo(HaveOccurred())
	c.client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Create: func(ctx context.Context, next client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return c.write(func() error { return next.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, next client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return c.write(func() error { return next.Update(ctx, object, options...) })
		},
	})
	c.store = c.process("here")
	return c
}

// process is the store of a process that begins now.
func (c *cluster) process(name string) *grantstore.Store {
	return grantstore.New(grantstore.Options{Client: c.client, Live: c.client, Cluster: name, Memory: &c.memory, OwnWrite: func(_ *corev1.Secret, write func() error) error {
		c.own++
		return write()
	}})
}

func (c *cluster) write(write func() error) error {
	c.writes++
	if len(c.failures) == 0 {
		return write()
	}
	failure := c.failures[0]
	c.failures = c.failures[1:]
	return failure
}

func account() *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"}}
}

// read decodes what the API server has.
func (c *cluster) read(store *grantstore.Store, of *v1alpha1.MarketplaceAccount) grantstore.Held {
	c.t.Helper()
	secret, err := store.Live(c.t.Context(), of)
	c.Expect(err).NotTo(HaveOccurred())
	held, err := store.Decode(of, secret)
	c.Expect(err).NotTo(HaveOccurred())
	return held
}

// put stores a custody with this serial.
func (c *cluster) put(serial int64) grantstore.Held {
	c.t.Helper()
	held, err := c.store.Write(c.t.Context(), account(), c.read(c.store, account()), custody.Custody{Serial: serial}, grantstore.Once)
	c.Expect(err).NotTo(HaveOccurred())
	return held
}

func TestACustodyIsWrittenAndRead(t *testing.T) {
	c := newCluster(t)
	first := c.put(1)
	c.Expect(first.Secret.Type).To(BeEquivalentTo(v1alpha1.SecretTypeGrant))
	c.Expect(metav1.IsControlledBy(first.Secret, account())).To(BeTrue())
	second, err := c.store.Write(t.Context(), account(), first, custody.Custody{Serial: 2}, grantstore.UntilStored)
	c.Expect(err).NotTo(HaveOccurred())
	c.Expect(second.Custody.Witness).To(Equal(custody.Witness{Account: "uid-1", Cluster: "here"}))
	read := c.read(c.store, account())
	c.Expect(read.Custody.Serial).To(BeEquivalentTo(2))
	c.Expect(read.Custody.Witness).To(Equal(second.Custody.Witness))
	c.Expect(read.Secret.ResourceVersion).To(Equal(second.Secret.ResourceVersion))
	cached, err := c.store.Cached(t.Context(), account())
	c.Expect(err).NotTo(HaveOccurred())
	c.Expect(c.store.CustodyIn(account(), cached)).To(Equal(read.Custody))
	c.Expect(c.own).To(Equal(2))
	c.Expect(c.store.AllPending()).To(BeEmpty())

	_, err = c.store.Write(t.Context(), account(), first, custody.Custody{Serial: 3}, grantstore.UntilStored)
	c.Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
	c.Expect(c.writes).To(Equal(3), "a conflict is not tried again")
	c.Expect(c.store.Pending("uid-1").Custody.Serial).To(BeEquivalentTo(3))
}

func TestAWriteThatFails(t *testing.T) {
	t.Run("is left to the caller", func(t *testing.T) {
		c := newCluster(t)
		c.failures = []error{busy}
		_, err := c.store.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{}, grantstore.Once)
		c.Expect(apierrors.IsServiceUnavailable(err)).To(BeTrue(), "%v", err)
		c.Expect(c.store.Pending("uid-1")).To(BeNil())
	})
	t.Run("is tried again, whatever becomes of the one that waits for it", func(t *testing.T) {
		c := newCluster(t)
		c.failures = []error{busy, busy}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		held, err := c.store.Write(ended, account(), grantstore.Held{}, custody.Custody{Serial: 1}, grantstore.UntilStored)
		c.Expect(err).NotTo(HaveOccurred())
		c.Expect(held.Custody.Serial).To(BeEquivalentTo(1))
		c.Expect(c.writes).To(Equal(3))
		c.Expect(c.store.AllPending()).To(BeEmpty())
	})
	t.Run("waits in memory where trying again is of no use", func(t *testing.T) {
		c := newCluster(t)
		c.failures = []error{full}
		_, err := c.store.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{Serial: 1}, grantstore.UntilStored)
		c.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		c.Expect(c.writes).To(Equal(1))
		pending := c.store.Pending("uid-1")
		c.Expect(pending.Account.Name).To(Equal("main"))
		c.Expect(pending.Custody.Serial).To(BeEquivalentTo(1))

		c.put(1)
		c.Expect(c.store.Pending("uid-1")).To(BeNil(), "any later write of the controller stores it, or something newer")
	})
	t.Run("of the controller is not a visit's business", func(t *testing.T) {
		c := newCluster(t)
		c.failures = []error{full}
		_, err := c.store.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{Serial: 1}, grantstore.UntilStored)
		c.Expect(err).To(HaveOccurred())
		own := c.own
		_, err = c.store.ForVisits().Write(t.Context(), account(), grantstore.Held{}, custody.Custody{}, grantstore.Once)
		c.Expect(err).NotTo(HaveOccurred())
		c.Expect(c.own).To(Equal(own), "the controller has to hear of it")
		c.Expect(c.store.Pending("uid-1")).NotTo(BeNil())
	})
	t.Run("is forgotten with its account", func(t *testing.T) {
		c := newCluster(t)
		c.store.SetStale("uid-1")
		c.store.RememberUnsent(account(), &custody.Journal{}, nil)
		c.memory.Forget(account())
		c.Expect(c.store.AllPending()).To(BeEmpty())
		c.Expect(c.store.TakeStale("uid-1")).To(BeFalse())
	})
}

func TestAStaleGrantIsToldOnce(t *testing.T) {
	c := newCluster(t)
	c.store.SetStale("uid-1")
	c.Expect(c.store.TakeStale("uid-2")).To(BeFalse())
	c.Expect(c.store.TakeStale("uid-1")).To(BeTrue())
	c.Expect(c.store.TakeStale("uid-1")).To(BeFalse())
}

// The first write of a custody proves that there was none; where there is one, the next renewal reads it.
func TestACustodyThatNoCacheShows(t *testing.T) {
	c := newCluster(t)
	c.put(5)
	for _, store := range []*grantstore.Store{c.store, c.store.ForVisits()} {
		_, err := store.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{Serial: 1}, grantstore.Once)
		c.Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
		c.Expect(c.store.TakeStale("uid-1")).To(Equal(store == c.store))
	}
	c.Expect(c.read(c.store, account()).Custody.Serial).To(BeEquivalentTo(5))
}

// origin is where a custody was written or read, and the serial of its tokens there.
type origin struct {
	uid     types.UID
	cluster string
	serial  int64
}

// A witness that is another one tells of a custody that was restored or moved.
func TestARestoredCustodyIsKnown(t *testing.T) {
	for name, test := range map[string]struct {
		// writer is the account that wrote the custody, in a cluster, and reader the one that reads it.
		writer, reader origin
		moved          bool
		outdated       bool
	}{
		"its own":                                     {writer: origin{"uid-1", "here", 4}, reader: origin{"uid-1", "here", 4}},
		"the status stayed behind":                    {writer: origin{"uid-1", "here", 4}, reader: origin{"uid-1", "here", 3}},
		"the status tells of a later one":             {writer: origin{"uid-1", "here", 4}, reader: origin{"uid-1", "here", 5}, outdated: true},
		"of an account that was made anew":            {writer: origin{"uid-0", "here", 4}, reader: origin{"uid-1", "here", 0}, moved: true},
		"of another cluster":                          {writer: origin{"uid-1", "there", 4}, reader: origin{"uid-1", "here", 4}, moved: true},
		"written where the cluster was not known":     {writer: origin{"uid-1", "", 4}, reader: origin{"uid-1", "here", 4}},
		"read where the cluster is not known":         {writer: origin{"uid-1", "there", 4}, reader: origin{"uid-1", "", 4}},
		"moved, and the status tells of a later one ": {writer: origin{"uid-0", "here", 4}, reader: origin{"uid-1", "here", 5}, outdated: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			writer := account()
			writer.UID = test.writer.uid
			held, err := c.process(test.writer.cluster).Write(t.Context(), writer, grantstore.Held{}, custody.Custody{Serial: test.writer.serial}, grantstore.Once)
			c.Expect(err).NotTo(HaveOccurred())
			held.Secret.OwnerReferences = nil // as Velero restores it
			c.Expect(c.client.Update(t.Context(), held.Secret)).To(Succeed())
			reader := account()
			reader.UID = test.reader.uid
			if test.reader.serial > 0 {
				reader.Status.AccessToken = &v1alpha1.AccessTokenStatus{Serial: test.reader.serial}
			}
			store := c.process(test.reader.cluster)
			read := c.read(store, reader)
			c.Expect(read.Outdated).To(Equal(test.outdated))
			c.Expect(read.Custody.Serial).To(Equal(max(test.writer.serial, test.reader.serial)))
			switch {
			case test.outdated:
				c.Expect(read.Custody.Restored).To(Equal(&custody.Restored{}))
			case test.moved:
				c.Expect(read.Custody.Restored).To(Equal(&custody.Restored{Moved: true}))
			default:
				c.Expect(read.Custody.Restored).To(BeNil())
			}
		})
	}
	t.Run("without a witness, by its owner reference", func(t *testing.T) {
		c := newCluster(t)
		for uid, moved := range map[string]bool{"uid-1": false, "uid-0": true} {
			owner := account()
			owner.UID = types.UID(uid)
			reference := *metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
			secret, err := tokensecret.EncodeCustody(owner, reference, custody.Custody{}, nil)
			c.Expect(err).NotTo(HaveOccurred())
			c.Expect(c.store.Moved(account(), grantstore.Held{Secret: secret})).To(Equal(moved))
		}
	})
}

func TestAGrantSecretOfAnotherOwner(t *testing.T) {
	c := newCluster(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main-grant"}}
	held, err := c.store.Decode(account(), secret)
	c.Expect(err).NotTo(HaveOccurred())
	c.Expect(held).To(BeZero())
	c.Expect(grantstore.Own(account(), secret)).To(BeNil())
}

func TestACustodyOfALaterVersion(t *testing.T) {
	c := newCluster(t)
	later, err := c.store.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{Version: 1000, Serial: 7}, grantstore.Once)
	c.Expect(err).NotTo(HaveOccurred())
	held, err := c.store.Decode(account(), later.Secret)
	c.Expect(tokensecret.IsNewer(err)).To(BeTrue(), "%v", err)
	c.Expect(held.Secret).To(Equal(later.Secret))
	next, err := c.store.Write(t.Context(), account(), held, custody.Custody{Version: 1, Serial: 8}, grantstore.UntilStored)
	c.Expect(err).NotTo(HaveOccurred())
	c.Expect(next.Custody.Version).To(Equal(1000), "what is in hand is stored on top of it")
}

func TestADrainWaitsForWhatWasSpent(t *testing.T) {
	c := newCluster(t)
	done, ok := c.store.Spend()
	c.Expect(ok).To(BeTrue())
	var settled bool
	flushes := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.store.Drain(t.Context(), func() { settled = true }, func(context.Context) error {
			if flushes++; flushes < 3 {
				return errors.New("the API server is away")
			}
			return nil
		})
	}()
	c.Eventually(func() bool {
		done, ok := c.store.ForVisits().Spend()
		if ok {
			done()
		}
		return ok
	}).Should(BeFalse(), "nothing is sent any more")
	c.Consistently(ended, 50*time.Millisecond).ShouldNot(BeClosed())
	done()
	c.Eventually(ended).Should(BeClosed())
	c.Expect(settled).To(BeTrue())
	c.Expect(flushes).To(Equal(3))

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	c.store.Drain(canceled, nil, nil) // again, as a second signal
}

// TestNothingWaitsWhereNoControllerRuns: a portal apart has nobody who would store it later, and the operator decides anew by what is on record.
func TestNothingWaitsWhereNoControllerRuns(t *testing.T) {
	c := newCluster(t)
	portal := grantstore.New(grantstore.Options{Client: c.client, Live: c.client, Cluster: "here"}).ForVisits()
	held, err := portal.Write(t.Context(), account(), grantstore.Held{}, custody.Custody{Serial: 1}, grantstore.UntilStored)
	c.Expect(err).NotTo(HaveOccurred())
	c.failures = []error{full}
	_, err = portal.Write(t.Context(), account(), held, custody.Custody{Serial: 2}, grantstore.UntilStored)
	c.Expect(err).To(MatchError(full))
	c.Expect(portal.AllPending()).To(BeEmpty())

	// In one process the controller stores it.
	c.failures = []error{full}
	visits := c.store.ForVisits()
	_, err = visits.Write(t.Context(), account(), held, custody.Custody{Serial: 2}, grantstore.UntilStored)
	c.Expect(err).To(MatchError(full))
	c.Expect(visits.AllPending()).To(HaveLen(1))
}
