package kube

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// held is an API server that answers when the test lets it, and counts how many wait for it.
type held struct {
	client.Reader
	let           chan struct{}
	now, mostHeld atomic.Int32
}

func (h *held) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	now := h.now.Add(1)
	for most := h.mostHeld.Load(); now > most && !h.mostHeld.CompareAndSwap(most, now); most = h.mostHeld.Load() {
	}
	<-h.let
	h.now.Add(-1)
	return nil
}

// However many workers read large Secrets, few are in memory, and small ones do not wait for them.
func TestLargeObjectsTakeTurns(t *testing.T) {
	g := NewWithT(t)
	scheme, err := Scheme()
	g.Expect(err).NotTo(HaveOccurred())
	small := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "small"}}
	server := &held{let: make(chan struct{})}
	objects := newLargeObjects(fake.NewClientBuilder().WithScheme(scheme).WithObjects(small).Build())
	live := largeReader{server, objects}
	var reads sync.WaitGroup
	for range 10 * bounds.LargeObjects {
		reads.Go(func() {
			if err := live.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "unknown"}, &corev1.Secret{}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Eventually(server.now.Load).Should(BeEquivalentTo(bounds.LargeObjects))
	release, err := objects.acquire(t.Context(), client.ObjectKeyFromObject(small), &corev1.Secret{})
	g.Expect(err).NotTo(HaveOccurred())
	release()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	written := &corev1.Secret{Data: map[string][]byte{"a": []byte(large)}}
	_, err = objects.acquire(canceled, client.ObjectKeyFromObject(small), written)
	g.Expect(err).To(MatchError(context.Canceled), "a write of a large one waits as well")
	close(server.let)
	reads.Wait()
	g.Expect(server.mostHeld.Load()).To(BeEquivalentTo(bounds.LargeObjects))
}
