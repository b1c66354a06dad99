package grantstore

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/custodykey"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Store reads and writes grant Secrets. It may be used by many goroutines at once, of which one at a time works on an account.
type Store struct {
	client client.Client
	live   client.Reader
	// cluster identifies the cluster; empty where that is not known.
	cluster string
	// keys signs documents, and tells which are authentic; nil where there is no key.
	keys *custodykey.Keys
	// ownWrite writes a Secret that need not be told to the controller again.
	ownWrite func(secret *corev1.Secret, write func() error) error
	*memory
	*underway
	// visits tells that the writes are made by people's visits.
	visits bool
	// forgets tells that nothing waits in memory.
	forgets bool
}

// Options are the parts that New needs. Client and Live are required.
type Options struct {
	// Client reads from the cache, which shows the writes before, and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Cluster identifies the cluster; empty where that is not known.
	Cluster string
	// Keys signs documents, and tells which are authentic; nil where there is no key.
	Keys *custodykey.Keys
	// OwnWrite writes a Secret on behalf of the controller, which knows of it then; nil where no controller runs.
	OwnWrite func(secret *corev1.Secret, write func() error) error
	// Memory owns what is known of accounts; nil where nothing waits in memory.
	Memory *accountmemory.Owner
}

// New returns a store for the controller, or for visits alone where no controller runs. There nothing waits in memory: a visit stores its tokens itself, and the
// controller of another process goes on by the custody that was stored.
func New(o Options) *Store {
	return &Store{
		client: o.Client, live: o.Live, cluster: o.Cluster, keys: o.Keys, ownWrite: o.OwnWrite, forgets: o.OwnWrite == nil,
		memory: &memory{accountmemory.New[accountMemory](o.Memory)}, underway: &underway{drained: make(chan struct{})},
	}
}

// ForVisits returns the same store for people's visits: the controller has to hear of their writes, and they leave its pending
// writes alone.
func (s *Store) ForVisits() *Store {
	visits := *s
	visits.visits = true
	visits.ownWrite = func(_ *corev1.Secret, write func() error) error { return write() }
	return &visits
}

// Held is a grant Secret as it was read or written last.
type Held struct {
	// Secret is nil while there is none, or none that is the account's.
	Secret  *corev1.Secret
	Custody custody.Custody
	// Outdated tells that the custody is older than the account's status, which is always written after it.
	Outdated bool
	// Unauthentic tells that the custody is not proven to be written by the operator. Then its refresh tokens, device code and visits say that they are unproven.
	Unauthentic bool
}

// Cached reads the grant Secret of an account from the cache, and Live from the API server; nil when there is none. It may be another
// owner's.
func (s *Store) Cached(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*corev1.Secret, error) {
	return kube.ReadSecret(ctx, s.client, grantSecret(account))
}

// Live reads the grant Secret of an account from the API server; nil when there is none. It may be another owner's.
func (s *Store) Live(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*corev1.Secret, error) {
	return kube.ReadSecret(ctx, s.live, grantSecret(account))
}

func grantSecret(account *v1alpha1.MarketplaceAccount) client.ObjectKey {
	return client.ObjectKey{Namespace: account.Namespace, Name: account.GrantSecretName()}
}

// Own returns a Secret that belongs to the account, and nil for one that does not, such as a former account's of its name.
func Own(account *v1alpha1.MarketplaceAccount, secret *corev1.Secret) *corev1.Secret {
	if secret == nil || !tokensecret.Owned(secret, account) {
		return nil
	}
	return secret
}

// CustodyIn returns the custody that a grant Secret holds, as it was written, for a reader that does not write. A Secret that is nil or not
// the account's holds none.
func (s *Store) CustodyIn(account *v1alpha1.MarketplaceAccount, secret *corev1.Secret) (custody.Custody, error) {
	secret = Own(account, secret)
	kept, err := tokensecret.DecodeCustody(secret)
	if err == nil {
		kept, _ = s.proven(account, secret, kept)
	}
	return kept, err
}

// proven returns a custody whose refresh tokens, device code and visits say that they are unproven where its document is not authentic, and the verdict on that.
func (s *Store) proven(account *v1alpha1.MarketplaceAccount, secret *corev1.Secret, kept custody.Custody) (said custody.Custody, verdict custodykey.Verdict) {
	if secret == nil {
		return kept, custodykey.Verdict{Authentic: true}
	}
	text, mac := tokensecret.Signed(secret)
	if text == nil {
		return kept, custodykey.Verdict{Authentic: true}
	}
	verdict = s.keys.Judge(custodykey.Document{
		Account: client.ObjectKeyFromObject(account), Marketplace: account.Spec.MarketplaceRef.Name, Version: secret.ResourceVersion, Text: text, MAC: mac,
	})
	switch {
	case !verdict.Authentic:
		kept = kept.Unproven()
	case verdict.Adopted:
		kept = kept.Proven()
	}
	return kept, verdict
}

// Decode returns the content of the grant Secret of an account; a nil secret stands for none. A custody of a later version comes with a
// *tokensecret.NewerError: nothing may be decided by it, and an answer in hand can be stored on top of it.
func (s *Store) Decode(account *v1alpha1.MarketplaceAccount, secret *corev1.Secret) (Held, error) {
	held := Held{Secret: Own(account, secret)}
	var err error
	held.Custody, err = tokensecret.DecodeCustody(held.Secret)
	if err != nil {
		return held, err
	}
	var verdict custodykey.Verdict
	held.Custody, verdict = s.proven(account, held.Secret, held.Custody)
	held.Unauthentic = !verdict.Authentic
	if s.Moved(account, held) {
		held.Custody.Restored = &custody.Restored{Moved: true}
	}
	if seen := account.Status.AccessToken; seen != nil && seen.Serial > held.Custody.Serial { // not the time of issue: clocks are set back
		held.Custody = held.Custody.Outdated(seen.Serial)
		held.Outdated = true
	}
	return held, nil
}

// Moved tells that a custody was written for another account, as after a restore that gave the account a new UID, or in another
// cluster. One without a witness, from before, is this account's where its Secret is controlled by it.
func (s *Store) Moved(account *v1alpha1.MarketplaceAccount, held Held) bool {
	switch was := held.Custody.Witness; {
	case held.Secret == nil:
		return false
	case was.Account == "":
		controller, _ := tokensecret.ControllingAccount(held.Secret)
		return controller != account.UID
	default:
		return was.Account != account.UID || was.Cluster != "" && s.cluster != "" && was.Cluster != s.cluster
	}
}

// witness is the witness of a custody that is written now.
func (s *Store) witness(account *v1alpha1.MarketplaceAccount, former custody.Witness) custody.Witness {
	witness := custody.Witness{Account: account.UID, Cluster: s.cluster}
	if witness.Cluster == "" && former.Account == account.UID {
		witness.Cluster = former.Cluster
	}
	return witness
}

// Retry tells whether a write that fails is tried again.
type Retry int

const (
	// Once leaves a failed write to the caller.
	Once Retry = iota
	// UntilStored is for a custody that must not be lost. A write that may succeed later is tried again for timeouts.Store, also after the end of
	// its context, and then waits in memory until the caller stores it, see Pending.
	UntilStored
)

// Write writes a custody on top of the one read or written last, and returns both Secret and custody. It loses against any other write since,
// with a conflict.
func (s *Store) Write(ctx context.Context, account *v1alpha1.MarketplaceAccount, on Held, next custody.Custody, how Retry) (Held, error) {
	if how == Once {
		return s.write(ctx, account, &on, &next)
	}
	if !s.forgets {
		s.remember(Pending{Account: account.DeepCopy(), Custody: next})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Store)
	defer cancel()
	held := on
	err := retry.OnError(backoff, MayPass, func() (err error) {
		held, err = s.write(ctx, account, &on, &next)
		return err
	})
	return held, err
}

// write sets the version and the witness of the custody, and writes it.
func (s *Store) write(ctx context.Context, account *v1alpha1.MarketplaceAccount, on *Held, next *custody.Custody) (Held, error) {
	next.Version, next.Witness = max(next.Version, on.Custody.Version), s.witness(account, on.Custody.Witness)
	secret, err := tokensecret.EncodeCustody(account, tokensecret.OwnerOf(account), *next, on.Secret)
	if err != nil {
		return *on, err
	}
	text, _ := tokensecret.Signed(secret)
	tokensecret.Sign(secret, s.keys.Sign(client.ObjectKeyFromObject(account), text))
	write := func() error { return s.client.Create(ctx, secret) }
	if on.Secret != nil {
		tokensecret.Merge(secret, on.Secret)
		write = func() error { return s.client.Update(ctx, secret) }
	}
	if err := s.ownWrite(secret, write); err != nil {
		if apierrors.IsAlreadyExists(err) && !s.visits { // no cache showed it
			s.SetStale(account.UID)
		}
		return *on, fmt.Errorf("storing the grant: %w", err)
	}
	if !s.visits {
		s.DropPending(account.UID)
	}
	return Held{Secret: secret, Custody: *next}, nil
}
