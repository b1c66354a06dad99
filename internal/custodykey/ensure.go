package custodykey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// errShort is a key that a person wrote and that is too short. It is left alone.
var errShort = fmt.Errorf("its key %s must have at least %d bytes", currentKey, keySize)

// Ensure makes the key where there is none, and decides about the documents to adopt. The leading process calls it before it reads a document:
// one that does not lead may be a newer version beside an older one, which goes on to write documents without a MAC.
func (k *Keys) Ensure(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.mu.RLock()
	done := k.ensured
	k.mu.RUnlock()
	if done {
		return nil
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	if err := k.ensure(ctx, func(*adopted) {}); err != nil {
		return err
	}
	k.mu.Lock()
	k.ensured = true
	k.mu.Unlock()
	return nil
}

// Adopt takes the documents of a Marketplace that exist now for authentic, unless the same value was acted on before. The leading process calls
// it with the value that an admin wrote; changed tells that the record is another now.
func (k *Keys) Adopt(ctx context.Context, marketplace, value string) (changed bool, err error) {
	if k == nil {
		return false, nil
	}
	if err := k.Ensure(ctx); err != nil {
		return false, err
	}
	k.mu.RLock()
	known := !k.state.settled || k.state.adopted.Marketplaces[marketplace].Value == value
	k.mu.RUnlock()
	if known {
		return false, nil
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	err = k.ensure(ctx, func(a *adopted) {
		if changed = a.Marketplaces[marketplace].Value != value; changed {
			a.say(marketplace, value)
		}
	})
	if changed && err == nil {
		logf.FromContext(ctx).Info("Taking the grant Secrets of a Marketplace that exist now for authentic, as its annotation says", "marketplace", marketplace)
	}
	return changed && err == nil, err
}

// ensure brings the Secret into order: a key, the record of the documents adopted with it, and all boundaries. Of several processes the first one
// wins, and each later one reads the first one's Secret.
func (k *Keys) ensure(ctx context.Context, change func(*adopted)) error {
	again := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	return k.without(ctx, retry.OnError(retry.DefaultBackoff, again, func() error {
		secret, err := kube.ReadSecret(ctx, k.live, k.secret)
		if err != nil {
			return err
		}
		if secret == nil {
			secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.secret.Namespace, Name: k.secret.Name}, Type: corev1.SecretTypeOpaque}
		}
		next, why, err := k.plan(secret)
		if err != nil {
			return err
		}
		change(&next.adopted)
		if err := k.write(ctx, secret, next); err != nil {
			return err
		}
		// The write above has a version that no document had before, and every later one exceeds.
		next.adopted = next.adopted.bounded(secret.ResourceVersion)
		next.adopted.UID = secret.UID
		if err := k.write(ctx, secret, next); err != nil {
			return err
		}
		if why != "" {
			logf.FromContext(ctx).Info("Taking the grant Secrets that exist now for authentic, once", "because", why)
		}
		next.settled = true
		k.take(next)
		return nil
	}))
}

// plan is the state that the Secret should hold, but for the boundaries of new records. why is the reason to adopt the documents that exist now; empty
// where there is none.
func (k *Keys) plan(secret *corev1.Secret) (next state, why string, err error) {
	k.mu.RLock()
	known := k.state.current
	k.mu.RUnlock()
	next = stateOf(secret)
	if next.current == nil {
		if len(bytes.TrimSpace(secret.Data[currentKey])) > 0 {
			return next, "", errShort
		}
		if known != nil { // processes that do not know the new one yet go on to sign with it
			next.previous = known
		}
		if next.current, err = newKey(k.random); err != nil {
			return next, "", err
		}
		next.adopted = next.adopted.renewed(next.current)
		return next, "a new key was made, since there was none", nil
	}
	has := func(key Key) bool { return bytes.Equal(key, next.current) || bytes.Equal(key, next.previous) }
	recorded := next.adopted.Key == next.current.id() || next.previous != nil && next.adopted.Key == next.previous.id()
	switch {
	case secret.UID != next.adopted.UID:
		why = "the Secret of the key is another one than before: it was restored, or copied"
	case !isOwnRecord(secret):
		why = "the operator's record in the Secret of the key was written by somebody else: an older one was restored"
	case !recorded || known != nil && !has(known):
		why = "the key was replaced, and is not among its successors"
	default:
		next.adopted.Key = next.current.id() // rotated
		return next, "", nil
	}
	next.adopted = next.adopted.renewed(next.current)
	return next, why, nil
}

// write makes the Secret hold the state, unless it does. It loses against any other write since it was read.
func (k *Keys) write(ctx context.Context, secret *corev1.Secret, next state) error {
	data, err := next.data()
	if err != nil {
		return err
	}
	same := true
	for _, key := range []string{currentKey, previousKey, adoptedKey} {
		same = same && bytes.Equal(data[key], bytes.TrimSpace(secret.Data[key]))
	}
	if same {
		return nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, key := range []string{currentKey, previousKey, adoptedKey} {
		delete(secret.Data, key)
		if value := data[key]; value != nil {
			secret.Data[key] = value
		}
	}
	if secret.ResourceVersion == "" {
		err = k.writer.Create(ctx, secret)
	} else {
		err = k.writer.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("writing Secret %q: %w", k.secret, err)
	}
	return nil
}

// take puts a state in force. A key that was in force and is not among its successors counts as long as the process lives: another process may sign with it still.
func (k *Keys) take(next state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.state.current
	if was != nil && !bytes.Equal(was, next.current) && !bytes.Equal(was, next.previous) {
		k.retired = append(k.retired, was)
		k.retired = k.retired[max(0, len(k.retired)-mostRetired):]
	}
	k.state, k.unusable = next, ""
}

// without does without a key where there can be none, and says so once. Every document is taken for authentic then: that the operator lacks a
// right, or that an admin wrote half a key, is no tenant's doing.
func (k *Keys) without(ctx context.Context, err error) error {
	if err == nil || !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) && !errors.Is(err, errShort) {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	reason := string(apierrors.ReasonForError(err)) // an error of the API server may quote the Secret that was to be written
	if errors.Is(err, errShort) {
		reason = errShort.Error()
	}
	if k.unusable != reason {
		k.unusable = reason
		logf.FromContext(ctx).Info("Doing without a key of custody, so that forged grant Secrets are not noticed: the operator needs the rights to get and update its Secret",
			"secret", k.secret.String(), "reason", reason)
	}
	k.state = state{}
	return nil
}

// renewed is the record of a new key: nothing is adopted for an earlier word of an admin, as versions of another Secret, or of another cluster,
// mean nothing here.
func (a adopted) renewed(key Key) adopted {
	said := a.Marketplaces
	a = adopted{Key: key.id()}
	for name, before := range said {
		a.say(name, before.Value)
		a.Marketplaces[name] = adoption{Value: before.Value, Before: never}
	}
	return a
}

// say records the word of an admin about a Marketplace. It shares nothing with former records.
func (a *adopted) say(marketplace, value string) {
	said := maps.Clone(a.Marketplaces)
	if said == nil {
		said = map[string]adoption{}
	}
	said[marketplace] = adoption{Value: value}
	a.Marketplaces = said
}
