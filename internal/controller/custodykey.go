package controller

import (
	"context"
	"fmt"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custodykey"
)

// addCustodyKey reads the key that authenticates grant Secrets; nil where it has no name. Its Secret is in no cache: the operator's namespace need
// not be watched.
func (o Options) addCustodyKey(ctx context.Context, mgr manager.Manager) (*custodykey.Keys, error) {
	if o.CustodyKey.Name == "" {
		return nil, nil
	}
	api, err := client.New(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("preparing the client for the key of custody: %w", err)
	}
	keys, err := custodykey.New(ctx, custodykey.Options{
		Secret: o.CustodyKey, Live: api, Writer: client.WithFieldOwner(api, v1alpha1.ManagedBy), Clock: o.Clock, Random: o.Random,
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(keys); err != nil {
		return nil, fmt.Errorf("adding the key of custody: %w", err)
	}
	return keys, nil
}

// makeCustodyKey makes the key where there is none, once the process leads. It does so also where there is no account yet: what is planted
// before the first one must not count as older than the key.
func makeCustodyKey(mgr manager.Manager, keys *custodykey.Keys) error {
	if keys == nil {
		return nil
	}
	ensure := manager.RunnableFunc(func(ctx context.Context) error {
		if err := keys.Ensure(ctx); err != nil {
			logf.FromContext(ctx).Info("Making the key of custody, which the first account will try again", "reason", err.Error())
		}
		return nil
	})
	if err := mgr.Add(ensure); err != nil {
		return fmt.Errorf("adding the making of the key of custody: %w", err)
	}
	return nil
}

// adoptions hands the words of admins about the grant Secrets of a Marketplace to the key, and has its accounts looked at again.
type adoptions struct {
	keys *custodykey.Keys
	wake atomic.Pointer[func(marketplace string)]
}

// call sets the function that has the accounts of a Marketplace looked at again.
func (a *adoptions) call(wake func(marketplace string)) { a.wake.Store(&wake) }

func (a *adoptions) adopt(ctx context.Context, marketplace *v1alpha1.Marketplace) error {
	value := bounds.Cut(marketplace.Annotations[v1alpha1.AnnotationAdoptCustody], bounds.Name)
	if value == "" {
		return nil
	}
	changed, err := a.keys.Adopt(ctx, marketplace.Name, value)
	if wake := a.wake.Load(); changed && wake != nil {
		(*wake)(marketplace.Name)
	}
	return err
}
