package kube

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Shard is which accounts an operator keeps; its zero value is all of them.
type Shard struct {
	// Namespaces are the namespaces of the accounts; none means all.
	Namespaces []string
	// Selector must match the labels of the accounts; nil means all.
	Selector labels.Selector
}

// Scheme returns the kinds that the operator works with.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// ManagerOptions sets the manager's scheme, cache and client as Connect needs them: only the shard's accounts and the operator's own
// Secrets are cached with their data, and a read shows the writes before it.
func (s Shard) ManagerOptions(options manager.Options) (manager.Options, error) {
	scheme, err := Scheme()
	if err != nil {
		return options, err
	}
	options.Scheme = scheme
	contents := &contents{}
	options.NewCache = contents.newCache
	options.Cache = cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: cacheNamespaces(s.Namespaces),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Label:     labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
				Transform: func(object any) (any, error) { return hold(contents.secret(object)) },
			},
			&v1alpha1.MarketplaceAccount{}: {Label: s.Selector, Transform: contents.account},
			&v1alpha1.Marketplace{}:        {Transform: contents.marketplace},
		},
		NewInformer: contents.newInformer,
	}
	options.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
		return s.newClient(config, options, contents)
	}
	return options, nil
}

// newClient makes the manager's client.
func (s Shard) newClient(config *rest.Config, options client.Options, contents *contents) (client.Client, error) {
	cached := *options.Cache
	cached.Reader = namespacedReader{cached.Reader, s.Namespaces}
	options.Cache = nil
	live, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client that reads past the cache: %w", err)
	}
	options.Cache = &cached
	kube, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return newReadYourWrites(kube, live, s, contents), nil
}

func cacheNamespaces(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	configs := make(map[string]cache.Config, len(namespaces))
	for _, namespace := range namespaces {
		configs[namespace] = cache.Config{}
	}
	return configs
}
