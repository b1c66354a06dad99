package secretversions

import (
	"errors"
	"fmt"
	"sync"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// change is a Secret's version before and after an event of the watch.
type change struct {
	key           client.ObjectKey
	before, after Version
}

// versionStore is the store of a reflector: the versions that one watch brings.
type versionStore struct {
	changed func(change)
	// filled is closed when the first list has come.
	filled chan struct{}

	mu   sync.RWMutex // guards held
	held map[secretKey]Version
}

var _ toolscache.TransformingStore = (*versionStore)(nil)

// secretKey names a Secret, with one copy of the namespace for all its Secrets.
type secretKey struct {
	namespace unique.Handle[string]
	name      string
}

// secretVersion stands for a Secret that the reflector holds while a list comes in.
type secretVersion struct {
	key secretKey
	Version
}

func newVersionStore(changed func(change)) *versionStore {
	return &versionStore{changed: changed, filled: make(chan struct{}), held: map[secretKey]Version{}}
}

func (s *versionStore) get(key client.ObjectKey) (Version, error) {
	if !s.isFilled() {
		return Version{}, errors.New("the versions of Secrets are not known yet")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.held[secretKey{unique.Make(key.Namespace), key.Name}], nil
}

func (s *versionStore) isFilled() bool {
	select {
	case <-s.filled:
		return true
	default:
		return false
	}
}

func versionOf(object any) (secretVersion, error) {
	switch o := object.(type) {
	case *secretVersion:
		return *o, nil
	case *metav1.PartialObjectMetadata:
		account, _ := tokensecret.ControllingAccount(o)
		return secretVersion{secretKey{unique.Make(o.Namespace), o.Name}, Version{o.ResourceVersion, account, tokensecret.UsesOf(o.Labels)}}, nil
	}
	return secretVersion{}, fmt.Errorf("a watch of Secrets brought a %T", object)
}

// Transformer implements toolscache.TransformingStore. The store in which a streamed list is collected holds the transformed objects.
func (s *versionStore) Transformer() toolscache.TransformFunc {
	return func(object any) (any, error) {
		seen, err := versionOf(object)
		return &seen, err
	}
}

// Add implements toolscache.ReflectorStore.
func (s *versionStore) Add(object any) error { return s.Update(object) }

// Update implements toolscache.ReflectorStore.
func (s *versionStore) Update(object any) error {
	seen, err := versionOf(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.held[seen.key]
	s.held[seen.key] = seen.Version
	s.mu.Unlock()
	s.report(seen.key, before, seen.Version)
	return nil
}

// Delete implements toolscache.ReflectorStore.
func (s *versionStore) Delete(object any) error {
	seen, err := versionOf(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.held[seen.key]
	delete(s.held, seen.key)
	s.mu.Unlock()
	s.report(seen.key, before, Version{})
	return nil
}

// Replace implements toolscache.ReflectorStore. The first list is no change: every account is reconciled in a start.
func (s *versionStore) Replace(list []any, _ string) error {
	now := make(map[secretKey]Version, len(list))
	for _, object := range list {
		seen, err := versionOf(object)
		if err != nil {
			return err
		}
		now[seen.key] = seen.Version
	}
	s.mu.Lock()
	before := s.held
	s.held = now
	s.mu.Unlock()
	if !s.isFilled() {
		close(s.filled) // only the reflector's goroutine does
		return nil
	}
	s.reportAll(before, now)
	return nil
}

func (s *versionStore) reportAll(before, now map[secretKey]Version) {
	for key, after := range now {
		s.report(key, before[key], after)
	}
	for key, gone := range before {
		if _, stays := now[key]; !stays {
			s.report(key, gone, Version{})
		}
	}
}

// Resync implements toolscache.ReflectorStore.
func (s *versionStore) Resync() error { return nil }

func (s *versionStore) report(key secretKey, before, after Version) {
	if before.ResourceVersion != after.ResourceVersion {
		s.changed(change{client.ObjectKey{Namespace: key.namespace.Value(), Name: key.name}, before, after})
	}
}
