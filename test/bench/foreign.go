package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// playForeign measures what Secrets cost the operator that belong to others: many of them, and large ones.
func playForeign(ctx context.Context, r *run) ([]figure, error) {
	return r.onCluster(ctx, func(ctx context.Context, b *bench) ([]figure, error) {
		none, err := b.startedMemory(ctx)
		if err != nil {
			return nil, err
		}
		var figures []figure
		for _, foreign := range []struct {
			name       string
			count      int
			bytes      int
			namespaces int
		}{
			{"large", b.large, 1_000_000, 10},
			{"small", b.foreign, 1_000, 100},
		} {
			if err := b.foreignSecrets(ctx, foreign.name, foreign.count, foreign.bytes, foreign.namespaces); err != nil {
				return nil, err
			}
			resident, err := b.startedMemory(ctx)
			if err != nil {
				return nil, err
			}
			what := fmt.Sprintf("%d foreign Secrets of %d KB", foreign.count, foreign.bytes/1000)
			r.say("%.0f MiB with %s, %.0f MiB without", resident, what, none)
			figures = append(figures, figure{benchmark: memory, name: what + ", added", value: resident - none, unit: "MiB"})
			if r.full > 0 {
				figures = append(figures, figure{
					benchmark: memory, name: fmt.Sprintf("%s, of the memory with %d accounts", what, r.accounts),
					value: (resident - none) / r.full * 100, unit: "%",
				}.atMost(5))
			}
			if err := b.noForeignSecrets(ctx, foreign.name, foreign.namespaces); err != nil {
				return nil, err
			}
		}
		return figures, nil
	})
}

// startedMemory is the memory of an operator that was just started.
func (b *bench) startedMemory(ctx context.Context) (float64, error) {
	if err := b.startOperator(ctx); err != nil {
		return 0, err
	}
	resident, _, err := b.atRest(ctx)
	if err != nil {
		return 0, err
	}
	return resident, b.stopOperator()
}

func foreignNamespace(name string, i int) string { return fmt.Sprintf("%s-%03d", name, i) }

// foreignSecrets creates Secrets that no account refers to, spread over namespaces.
func (b *bench) foreignSecrets(ctx context.Context, name string, count, bytes, namespaces int) error {
	for i := range namespaces {
		if err := b.namespace(ctx, foreignNamespace(name, i)); err != nil {
			return err
		}
	}
	data := map[string][]byte{"data": []byte(strings.Repeat("x", bytes))}
	return b.each(ctx, count, func(ctx context.Context, i int) error {
		return b.kube.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("secret-%05d", i), Namespace: foreignNamespace(name, i%namespaces)},
			Data:       data,
		})
	})
}

func (b *bench) noForeignSecrets(ctx context.Context, name string, namespaces int) error {
	for i := range namespaces {
		if err := b.empty(ctx, foreignNamespace(name, i)); err != nil {
			return err
		}
	}
	return nil
}
