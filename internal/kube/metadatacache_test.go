package kube

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/internal/secretversions"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// knownVersions are those of Secrets without the operator's label, by name; nil while they are not known.
type knownVersions map[string]secretversions.Version

func (k knownVersions) Get(key client.ObjectKey) (secretversions.Version, error) {
	if k == nil {
		return secretversions.Version{}, errors.New("not known yet")
	}
	return k[key.Name], nil
}

func (knownVersions) Run(context.Context) {}

func (knownVersions) WaitFilled(context.Context) error { return nil }

func (knownVersions) Source(func(context.Context, client.ObjectKey) []reconcile.Request) source.SyncingSource {
	return nil
}

// A Secret is not taken for absent before the versions are known.
func TestSecretsAreNotKnownYet(t *testing.T) {
	g := NewWithT(t)
	cache := metadataCache{labelled: fake.NewClientBuilder().Build(), foreign: knownVersions(nil)}
	err := cache.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "a"}, SecretMetadata())
	g.Expect(err).To(MatchError("not known yet"))
}

// TestWhereASecretIsKnownFrom reads Secrets that two watches show, one after the other.
func TestWhereASecretIsKnownFrom(t *testing.T) {
	for name, test := range map[string]struct {
		labelled, foreign string
		// want is the version that holds; empty for none.
		want string
	}{
		"with the label":              {"7", "", "7"},
		"without it":                  {"", "7", "7"},
		"which it has just lost":      {"7", "8", "8"},
		"which it has just got":       {"8", "7", "8"},
		"that exists no more":         {"", "", ""},
		"at a version of more digits": {"9", "10", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			labelled := fake.NewClientBuilder()
			if test.labelled != "" {
				labelled.WithObjects(&corev1.Secret{ObjectMeta: objectMeta("main-token", test.labelled, labelledFor("main"))})
			}
			foreign := knownVersions{}
			if test.foreign != "" {
				foreign["main-token"] = secretversions.Version{ResourceVersion: test.foreign, Account: "uid-1"}
			}
			found := SecretMetadata()
			found.Name, found.ResourceVersion, found.Labels = "left over", "0", map[string]string{"left": "over"}
			err := metadataCache{labelled: labelled.Build(), foreign: foreign}.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "main-token"}, found)
			if test.want == "" {
				g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.Name + "@" + found.ResourceVersion).To(Equal("main-token@" + test.want))
			g.Expect(found.Labels).NotTo(HaveKey("left"))
			g.Expect(tokensecret.Owned(found, mainAccount())).To(BeTrue())
		})
	}
}

// TestWhichNamespacesAreWatched holds the selector against the label that the API server writes.
func TestWhichNamespacesAreWatched(t *testing.T) {
	many := make([]string, mostNamed+1)
	for i := range many {
		many[i] = fmt.Sprintf("shop-%d", i)
	}
	for name, test := range map[string]struct {
		namespaces []string
		shop, bank bool
	}{
		"all":           {nil, true, true},
		"one":           {[]string{"shop"}, true, false},
		"two":           {[]string{"bank", "shop"}, true, true},
		"a long list":   {many[:mostNamed], false, false},
		"more than fit": {many, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			selector, err := named(test.namespaces)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(selector.Matches(labels.Set{"kubernetes.io/metadata.name": "shop"})).To(Equal(test.shop))
			g.Expect(selector.Matches(labels.Set{"kubernetes.io/metadata.name": "bank"})).To(Equal(test.bank))
		})
	}
}
