package visitor

import (
	"context"
	"slices"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

const (
	// Audience is that of a token made for the portal alone, which is of no use anywhere else.
	Audience = "tokenkeeper"
	// reviewLife is how long the API server's word on a token is taken for granted.
	reviewLife = 10 * time.Second
)

// reviewed is the user that the API server named for a token, and when it did.
type reviewed struct {
	user authenticationv1.UserInfo
	at   time.Time
}

// reviews are the last reviews of the tokens that were good in them.
type reviews struct {
	mu   sync.Mutex
	good *recent[tokenKey, *reviewed]
}

// of returns the last review of a token; nil when it was not good, or never seen.
func (r *reviews) of(key tokenKey) *reviewed {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, _ := r.good.get(key)
	return known
}

func (r *reviews) put(key tokenKey, known *reviewed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good.put(key, known)
}

// review asks the API server about a token, first as one for itself, then as one for the portal. It returns nil when
// the token is good for neither.
func review(ctx context.Context, kube client.Writer, token string) (*authenticationv1.UserInfo, error) {
	for _, audiences := range [][]string{nil, {Audience}} {
		asked := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
		if err := kube.Create(ctx, asked); err != nil {
			return nil, &ClusterError{"reviewing a token", err}
		}
		// An authenticator that knows no audiences names none: the token is then good for the API server.
		fits := audiences == nil || len(asked.Status.Audiences) == 0 || slices.Contains(asked.Status.Audiences, Audience)
		if asked.Status.Authenticated && fits && asked.Status.User.Username != "" {
			return &asked.Status.User, nil
		}
	}
	return nil, nil
}
