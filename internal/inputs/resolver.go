// Package inputs follows the references of an account: to its Marketplace, its application, its credentials, and the other accounts of its
// seller. It reads from caches, and tells people how to mend the first reference that does not hold.
package inputs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/recall"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// Resolver follows the references of accounts. It may be used by many goroutines at once.
type Resolver struct {
	// client reads from the cache, which holds accounts, Marketplaces and the operator's own Secrets; metadata the metadata of any Secret or Namespace.
	client, metadata client.Reader
	userSecrets      *usersecrets.Cache
}

// NewResolver returns a resolver. client reads accounts, Marketplaces and the operator's own Secrets, metadata the metadata of any Secret or
// Namespace.
func NewResolver(client, metadata client.Reader, userSecrets *usersecrets.Cache) *Resolver {
	return &Resolver{client, metadata, userSecrets}
}

// Resolve follows the references of an account. It returns the failure of the first one that does not hold;
// its error is the API server's.
func (r *Resolver) Resolve(ctx context.Context, v facts.Facts) (facts.Request, *facts.Failure, error) {
	return r.resolve(ctx, v, func(facts.Request) custody.Seen { return custody.Seen{} })
}

// Recall is Resolve without reading Secrets that users wrote, where the custody knows as much of them as it takes to see whether anything is due.
func (r *Resolver) Recall(ctx context.Context, v facts.Facts) (facts.Request, *facts.Failure, error) {
	return r.resolve(ctx, v, func(req facts.Request) custody.Seen { return recall.Of(v.Custody, req.Inputs) })
}

func (r *Resolver) resolve(ctx context.Context, v facts.Facts, known func(facts.Request) custody.Seen) (facts.Request, *facts.Failure, error) {
	account := v.Account
	req := facts.Request{Grant: account.Spec.Grant.Type}
	object := &v1alpha1.Marketplace{}
	name := account.Spec.MarketplaceRef.Name
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, object, client.UnsafeDisableDeepCopy); err != nil { // it is only read
		if apierrors.IsNotFound(err) {
			return req, &facts.Failure{Reason: v1alpha1.ReasonMarketplaceNotFound,
				Message: fmt.Sprintf("spec.marketplaceRef: there is no Marketplace %q; \"kubectl get marketplaces\" lists them", name)}, nil
		}
		return req, nil, fmt.Errorf("reading Marketplace %q: %w", name, err)
	}
	platform, err := marketplace.Resolve(object, account)
	if err == nil {
		err = tokensecret.CheckTemplates(account, platform.PublishedKeys()...)
	}
	if err != nil {
		return req, &facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}, nil
	}
	req.Platform = platform
	req.Inputs.Spec = fmt.Sprint(account.Generation)
	req.Inputs.Marketplace = fmt.Sprintf("%s/%d", object.UID, object.Generation)
	if err := platform.CheckAccountID(account); err != nil {
		return req, &facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}, nil
	}
	seen := known(req)
	for _, step := range []func() (*facts.Failure, error){
		func() (*facts.Failure, error) { return r.resolveApplication(ctx, account, object, seen, &req) },
		func() (*facts.Failure, error) { return r.resolveCredentials(ctx, v, seen, &req) },
		func() (*facts.Failure, error) { return r.resolveOwnSecrets(ctx, v) },
	} {
		if failure, err := step(); failure != nil || err != nil {
			return req, failure, err
		}
	}
	req.Platform = platform.ForAccount(req.Application.ClientID, cmp.Or(account.Spec.AccountID, v.Custody.Account.ID))
	req.Key = keyOf(req)
	return req, nil, nil
}

func (r *Resolver) resolveApplication(
	ctx context.Context, account *v1alpha1.MarketplaceAccount, object *v1alpha1.Marketplace, seen custody.Seen, req *facts.Request,
) (*facts.Failure, error) {
	named := namedSecret{
		key: client.ObjectKey{Namespace: account.Namespace, Name: account.Spec.ApplicationSecretRef.Name}, field: "spec.applicationSecretRef", use: tokensecret.UseApplication,
	}
	req.Shared = named.key.Name == ""
	if req.Shared {
		allowed, err := r.mayUseApplication(ctx, account.Namespace, object.Spec.Application)
		if err != nil {
			return nil, err
		}
		if !allowed {
			return &facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf("spec.applicationSecretRef must be set: "+
				"Marketplace %q has no application that namespace %q may use", object.Name, account.Namespace)}, nil
		}
		if err := marketplace.CheckSharedApplication(object); err != nil {
			return &facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}, nil
		}
		if failure := beyondDefault(account, object); failure != nil {
			return failure, nil
		}
		ref := object.Spec.Application.SecretRef
		named = namedSecret{
			key: client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, field: fmt.Sprintf("the application of Marketplace %q", object.Name), use: tokensecret.UseOfMarketplace,
		}
	}
	var more []string
	if key := object.Spec.AuthorizationRequest.ClientIDKey; key != "" {
		more = []string{key}
	}
	secret, err := r.userSecrets.Get(ctx, named.key, named.use, versionIn(seen.Inputs.Application, named.key.String()), more...)
	if failure, err := named.failure(secret, err); failure != nil || err != nil {
		return failure, err
	}
	req.Unlabelled = append(req.Unlabelled, named.unlabelled(secret)...)
	if secret.Unread {
		req.Application, req.Recalled = recall.Application(seen), true
	} else {
		public := object.Spec.TokenRequest.ClientAuthentication == v1alpha1.ClientAuthenticationNone
		if req.Application, err = tokensecret.DecodeApplication(secret.Secret, public, req.Platform.ClientIDKey()); err != nil {
			return named.invalid(err), nil
		}
	}
	req.Inputs.Application = named.key.String() + "@" + secret.ContentVersion
	return nil, nil
}

// versionIn is the version in an input, which names a Secret and its version; empty where it names another Secret.
func versionIn(input, secret string) string {
	version, ok := strings.CutPrefix(input, secret+"@")
	if !ok {
		return ""
	}
	return version
}

// beyondDefault is the failure of scopes that a tenant may not ask for with the application of the Marketplace: the application's own token can reach the
// data of all its tenants, and at Amazon even its client secret.
func beyondDefault(account *v1alpha1.MarketplaceAccount, object *v1alpha1.Marketplace) *facts.Failure {
	if account.Spec.Grant.Type != v1alpha1.GrantClientCredentials {
		return nil
	}
	for _, scope := range account.Spec.Scopes {
		if !slices.Contains(object.Spec.Scopes.For(v1alpha1.GrantClientCredentials), scope) {
			return &facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf("spec.scopes: with the application of Marketplace %q, grant %s may ask for "+
				"its default scopes only; set spec.applicationSecretRef", object.Name, v1alpha1.GrantClientCredentials)}
		}
	}
	return nil
}

// mayUseApplication tells whether a namespace's accounts may use the Marketplace's own application.
func (r *Resolver) mayUseApplication(ctx context.Context, namespace string, application *v1alpha1.Application) (bool, error) {
	if application == nil || application.NamespaceSelector == nil {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(application.NamespaceSelector)
	if err != nil {
		return false, nil // a selector that cannot be read selects nothing
	}
	metadata := kube.NamespaceMetadata()
	if err := r.metadata.Get(ctx, client.ObjectKey{Name: namespace}, metadata); err != nil {
		return false, fmt.Errorf("reading the metadata of Namespace %q: %w", namespace, err)
	}
	return selector.Matches(labels.Set(metadata.Labels)), nil
}

func (r *Resolver) resolveCredentials(ctx context.Context, v facts.Facts, seen custody.Seen, req *facts.Request) (*facts.Failure, error) {
	account := v.Account
	named := namedSecret{key: client.ObjectKey{Namespace: account.Namespace}}
	switch spec := account.Spec.Grant; {
	case spec.Password != nil:
		named.field, named.key.Name, named.use = "spec.grant.password.secretRef", spec.Password.SecretRef.Name, tokensecret.UseLogin
	case spec.RefreshToken != nil:
		named.field, named.key.Name, named.use = "spec.grant.refreshToken.secretRef", spec.RefreshToken.SecretRef.Name, tokensecret.UseRefreshToken
	default:
		return nil, nil
	}
	secret, err := r.userSecrets.Get(ctx, named.key, named.use, versionIn(seen.Inputs.Credentials, named.key.Name))
	isAbsent := errors.Is(err, usersecrets.ErrNotFound)
	failure, err := named.failure(secret, err)
	if failure == nil && err == nil {
		req.Unlabelled = append(req.Unlabelled, named.unlabelled(secret)...)
		switch isLogin := account.Spec.Grant.Password != nil; {
		case secret.Unread && isLogin:
			req.Login = recall.Login(seen)
		case secret.Unread:
			req.Imported = recall.Import(v.Custody)
		case isLogin:
			req.Login, err = tokensecret.DecodeLogin(secret.Secret)
		default:
			req.Imported, err = tokensecret.DecodeImport(secret.Secret)
		}
		req.Recalled = req.Recalled || secret.Unread
		if err != nil {
			failure, err = named.invalid(err), nil
		}
	}
	switch {
	case err != nil:
		return nil, err
	case failure == nil:
		req.Inputs.Credentials = named.key.Name + "@" + secret.ContentVersion
	case account.Spec.Grant.RefreshToken != nil && v.Custody.RefreshToken != "":
		// The refresh token that the grant began with is used up. It lives on in the custody, without a Secret that cannot be read or must not be used.
		req.Imported = tokensecret.Import{RefreshToken: v.Custody.Imported, GrantedAt: v.Custody.GrantedAt}
		if !isAbsent {
			req.Unreadable = failure
		}
		return nil, nil
	}
	return failure, nil
}

// resolveOwnSecrets is the failure of an account of which another Secret has the name of the grant or the token Secret. It is found before anything is asked
// for, since an answer could not be stored.
func (r *Resolver) resolveOwnSecrets(ctx context.Context, v facts.Facts) (*facts.Failure, error) {
	if v.HoldsSecrets {
		return nil, nil
	}
	account := v.Account
	for _, name := range []string{account.GrantSecretName(), account.TokenSecretName()} {
		metadata := kube.SecretMetadata()
		err := r.metadata.Get(ctx, client.ObjectKey{Namespace: account.Namespace, Name: name}, metadata)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("reading the metadata of Secret %q: %w", name, err)
		case !tokensecret.Owned(metadata, account):
			return Conflict(account, metadata), nil
		}
	}
	return nil, nil
}

// Conflict is the failure of an account whose grant, token or sign-in Secret cannot be written, since another Secret has its name. Its message says how to
// get that one out of the way. A Secret that was restored together with the account is not to be removed: it may hold the only copy of a refresh token.
func Conflict(account *v1alpha1.MarketplaceAccount, secret metav1.Object) *facts.Failure {
	name, cure := secret.GetName(), "remove it"
	if name == account.TokenSecretName() {
		cure += " or set another spec.tokenSecret.name"
	}
	if former, _ := tokensecret.ControllingAccount(secret); former != "" && former != account.UID && secret.GetLabels()[v1alpha1.LabelAccount] == account.Name {
		cure += ", or where it was restored together with the account, its ownerReferences alone"
	}
	return &facts.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: fmt.Sprintf("Secret %q exists and does not belong to this account; %s", name, cure)}
}

// keyOf identifies the spec that tokens are obtained for: the parts of a request whose change calls for new tokens. No
// secret is part of it. Where a refresh token carries the consent, scopes and login are not asked for again.
func keyOf(req facts.Request) string {
	parts := []any{req.Platform.TokenURL, req.Platform.Issuer, req.Application.ClientID, req.RenewsByRefreshToken()}
	if !req.RenewsByRefreshToken() {
		parts = append(parts, req.Grant, req.Platform.Scopes, req.Platform.TokenParameters(), req.Login.Username)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "" // strings always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
