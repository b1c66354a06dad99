package custodykey

import (
	"context"
	"crypto/hmac"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

const (
	// lookEvery is how often the Secret is looked at without a reason: the role for a few namespaces lets nobody watch it.
	lookEvery = time.Minute
	// looks bounds how often a second it is looked at because a document is not authentic: another process may know another key.
	looks = 1
	// mostRetired bounds the keys that are remembered after they were replaced.
	mostRetired = 4
)

// Keys authenticates documents. Its nil value takes every document for authentic, and signs none. It may be used by many goroutines at once.
type Keys struct {
	// ctx ends with the process: documents are judged where there is none.
	ctx    context.Context
	secret types.NamespacedName
	live   client.Reader
	writer client.Writer
	clock  clock.PassiveClock
	random io.Reader
	looks  *rate.Limiter

	// writing is held while the Secret is written, or looked at.
	writing sync.Mutex
	mu      sync.RWMutex // guards state, retired, ensured and unusable
	state   state
	// retired are keys that were in force in the life of this process.
	retired []Key
	// ensured tells that this process leads, and has seen to it that there is a key.
	ensured bool
	// unusable is why there is no key; empty where there is one, or before the first look.
	unusable string
}

// Options are the arguments of New.
type Options struct {
	// Secret is where the key lies; an empty name means that there is none.
	Secret types.NamespacedName
	// Live reads from the API server, and Writer writes there as v1alpha1.ManagedBy.
	Live   client.Reader
	Writer client.Writer
	// Clock tells the time, and Random is where keys come from.
	Clock  clock.PassiveClock
	Random io.Reader
}

// New reads the key, where there is one. ctx ends with the process. Its error is the API server's.
func New(ctx context.Context, o Options) (*Keys, error) {
	if o.Secret.Name == "" {
		return nil, nil
	}
	k := &Keys{ctx: ctx, secret: o.Secret, live: o.Live, writer: o.Writer, clock: o.Clock, random: o.Random, looks: rate.NewLimiter(looks, looks)}
	return k, k.look(ctx)
}

// Start implements manager.Runnable: it looks at the Secret now and then.
func (k *Keys) Start(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery) // on the real clock: it hides no decision
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			logf.FromContext(ctx).Info("Looking at the key of custody", "reason", err.Error())
		}
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (k *Keys) NeedLeaderElection() bool { return false }

// Sign returns the MAC of a document; nil where there is no key.
func (k *Keys) Sign(account types.NamespacedName, document []byte) []byte {
	if k == nil {
		return nil
	}
	mac, missing := k.sign(account, document)
	if missing && k.looks.AllowN(k.clock.Now(), 1) { // the leading process may have made it just now
		if err := k.look(k.ctx); err == nil {
			mac, _ = k.sign(account, document)
		}
	}
	return mac
}

// sign is the MAC by the key in memory; missing tells that no key has been seen, nor a reason why there is none.
func (k *Keys) sign(account types.NamespacedName, document []byte) (mac []byte, missing bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.state.current == nil {
		return nil, k.unusable == ""
	}
	return k.state.current.mac(account, document), false
}

// Document is a grant Secret as it was read.
type Document struct {
	Account types.NamespacedName
	// Marketplace is the name of the account's.
	Marketplace string
	// Version is the resourceVersion of the Secret.
	Version string
	// Text is the document, and MAC its signature; nil where it has none.
	Text, MAC []byte
}

// Verdict is the origin of a document.
type Verdict struct {
	// Authentic tells that the operator wrote it, or that it is taken for that.
	Authentic bool
	// Adopted tells that an admin, or the making of the key, has taken all that is in it for authentic.
	Adopted bool
}

// Judge tells whether a document is authentic. Every document is while no key is in force, or while a key has just been replaced and the leading
// process has not yet recorded the documents that it adopts.
func (k *Keys) Judge(d Document) Verdict {
	if k == nil {
		return Verdict{Authentic: true}
	}
	verdict, certain := k.judge(d)
	if !certain && k.looks.AllowN(k.clock.Now(), 1) { // another process may have another key by now
		if err := k.look(k.ctx); err == nil {
			verdict, _ = k.judge(d)
		}
	}
	return verdict
}

// judge is the verdict by the state in memory; certain tells that the Secret, as it may be by now, cannot say otherwise.
func (k *Keys) judge(d Document) (verdict Verdict, certain bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case !k.state.settled:
		return Verdict{Authentic: true}, k.state.current == nil
	case k.state.adopted.covers(d.Version, d.Marketplace):
		return Verdict{Authentic: true, Adopted: true}, true
	case len(d.MAC) == 0:
		return Verdict{}, false
	}
	for _, key := range append([]Key{k.state.current, k.state.previous}, k.retired...) {
		if key != nil && hmac.Equal(key.mac(d.Account, d.Text), d.MAC) {
			return Verdict{Authentic: true}, true
		}
	}
	return Verdict{}, false
}

// look reads the Secret. Where this process leads, it also writes a missing key or boundary.
func (k *Keys) look(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.RLock()
	leads := k.ensured
	k.mu.RUnlock()
	if leads {
		return k.ensure(ctx, func(*adopted) {})
	}
	secret, err := kube.ReadSecret(ctx, k.live, k.secret)
	if err != nil {
		return k.without(ctx, err)
	}
	if secret == nil {
		secret = &corev1.Secret{}
	}
	k.take(stateOf(secret))
	return nil
}
