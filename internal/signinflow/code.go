package signinflow

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Code is the device code that waits for a person who may use it; the zero value where none does, and where it cannot be told. A cache that
// does not hold it yet is not believed.
func (v *Visits) Code(ctx context.Context, key types.NamespacedName) (signin.Code, error) {
	account, err := v.account(ctx, key)
	if err != nil || account == nil {
		return signin.Code{}, err
	}
	for _, read := range []func(context.Context, *v1alpha1.MarketplaceAccount) (*corev1.Secret, error){v.grants.Cached, v.grants.Live} {
		held, err := read(ctx, account)
		if err != nil {
			return signin.Code{}, clusterDown(err)
		}
		code, err := v.codeIn(ctx, account, held)
		if err != nil || code != (signin.Code{}) {
			return code, err
		}
	}
	return signin.Code{}, nil
}

// codeIn is the device code that waits by a grant Secret.
func (v *Visits) codeIn(ctx context.Context, account *v1alpha1.MarketplaceAccount, held *corev1.Secret) (signin.Code, error) {
	l, _, err := v.driver.Read(v.driver.LookAt(account, v.grants), held)
	if err != nil { // the account's conditions say so
		return signin.Code{}, nil
	}
	l, failure, err := v.driver.Resolve(ctx, l)
	if err != nil {
		return signin.Code{}, clusterDown(err)
	}
	if failure != nil || l.Request.Grant != v1alpha1.GrantDeviceCode || !l.NeedsSignIn() || !l.CodeLives() {
		return signin.Code{}, nil
	}
	code := l.Custody.SignIn.Device
	return signin.Code{URL: code.URL, UserCode: code.UserCode, ExpiresAt: code.ExpiresAt}, nil
}
