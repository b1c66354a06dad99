// Package scrapers has the API server decide on every reader of the metrics: it asks for the user of a bearer token, and whether that user may
// get /metrics. It also makes the certificate under which the metrics are served. Strangers can have it ask a bounded number of questions.
package scrapers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/clustertokens"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

const (
	// verdictLife is how long the API server's word on a token is taken for granted.
	verdictLife = time.Minute
	// lastWordLife is how long it counts for a token that was good while the API server cannot be asked: that is when the metrics
	// are needed most.
	lastWordLife = 10 * time.Minute
	// newBurst and newRate are how many tokens that have not been good before are asked about, at once and in each second: of strangers all together,
	// and of each ServiceAccount whose tokens the cluster has signed.
	newBurst = 10
	newRate  = rate.Limit(1)
	// maxSubjects are the ServiceAccounts that are remembered.
	maxSubjects = 256
)

// Creator asks the API server, by creating reviews.
type Creator interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
}

// Guard is safe for concurrent use.
type Guard struct {
	kube  Creator
	clock clock.PassiveClock
	log   logr.Logger
	// keys recognises the tokens that the cluster has signed. subjects limits these, by their ServiceAccount, and strangers all others.
	keys      *clustertokens.Keys
	subjects  *lru.Cache
	strangers *rate.Limiter

	mu    sync.Mutex // guards known, and the making of limiters in subjects
	known map[tokenKey]knownToken
}

// tokenKey stands for a token in memory.
type tokenKey [sha256.Size]byte

// knownToken is the API server's last verdict on a token, and when it was given.
type knownToken struct {
	verdict verdict
	at      time.Time
}

// verdict is the guard's decision on a request.
type verdict int

const (
	unknown    verdict = iota // the token is missing, or no user's
	forbidden                 // the user may not get /metrics
	admitted                  // the user may
	tooMany                   // there are too many strangers
	unanswered                // the API server cannot be asked
)

// New returns a guard. document reads a document that the API server publishes about the tokens that it issues, by its path; nil where there is none.
func New(kube Creator, document func(ctx context.Context, path string) ([]byte, error), clock clock.PassiveClock, log logr.Logger) *Guard {
	return &Guard{
		kube: kube, clock: clock, log: log, keys: &clustertokens.Keys{Read: document, Clock: clock, Log: log}, subjects: lru.New(maxSubjects),
		strangers: rate.NewLimiter(newRate, newBurst), known: map[tokenKey]knownToken{},
	}
}

// Protect returns next behind the guard, which itself answers requests that may not read the metrics.
func (g *Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch g.judge(r) {
		case admitted:
			next.ServeHTTP(w, r)
		case forbidden:
			http.Error(w, "This user may not get "+r.URL.Path+": bind the ClusterRole tokenkeeper-metrics-reader to it.", http.StatusForbidden)
		case tooMany:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many tokens were wrong. Try again in a second.", http.StatusTooManyRequests)
		case unanswered:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "The API server cannot be asked who this is.", http.StatusServiceUnavailable)
		default:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "A bearer token of a user is needed who may get "+r.URL.Path+".", http.StatusUnauthorized)
		}
	})
}

// judge decides about a request.
func (g *Guard) judge(r *http.Request) verdict {
	token := bearerToken(r)
	if token == "" {
		return unknown
	}
	key, now := tokenKey(sha256.Sum256([]byte(token))), g.clock.Now()
	last, seen := g.last(key)
	wasGood, age := seen && last.verdict == admitted, now.Sub(last.at)
	if seen && age >= 0 && age < verdictLife {
		return last.verdict
	}
	if !wasGood { // a token that was good is no guess, so it does not wait for guesses
		if refused := g.admit(r.Context(), token, now); refused != admitted {
			return refused
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeouts.AskAboutScraper)
	defer cancel()
	found, err := g.ask(ctx, token, r)
	switch {
	case err == nil:
		g.remember(key, knownToken{found, now})
		return found
	case wasGood && age < lastWordLife:
		return admitted
	}
	g.log.Error(err, "Nobody can read the metrics")
	return unanswered
}

// admit tells whether the API server may be asked about a token that has not been good before. One that the cluster has signed, as those of
// Prometheus after they were rotated, does not wait for strangers.
func (g *Guard) admit(ctx context.Context, token string, now time.Time) verdict {
	limiter := g.strangers
	switch judged, subject := g.keys.Judge(ctx, token); judged {
	case clustertokens.Forged:
		return unknown
	case clustertokens.Signed:
		limiter = g.limiterOf(subject)
	}
	if !limiter.AllowN(now, 1) {
		return tooMany
	}
	return admitted
}

func (g *Guard) limiterOf(subject string) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if held, ok := g.subjects.Get(subject); ok {
		return held.(*rate.Limiter)
	}
	made := rate.NewLimiter(newRate, newBurst)
	g.subjects.Add(subject, made)
	return made
}

// wellFormed is the syntax of a token (RFC 6750 section 2.1).
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// bearerToken is the token of a request; empty when there is none.
func bearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || !wellFormed.MatchString(token) {
		return ""
	}
	return token
}

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// ask asks the API server for the user of a token, and whether they may make the request.
func (g *Guard) ask(ctx context.Context, token string, r *http.Request) (verdict, error) {
	who := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := g.kube.Create(ctx, who); err != nil {
		return unknown, fmt.Errorf("reviewing a token: %w", err)
	}
	user := who.Status.User
	if !who.Status.Authenticated || user.Username == "" {
		return unknown, nil
	}
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	may := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)},
	}}
	if err := g.kube.Create(ctx, may); err != nil {
		return unknown, fmt.Errorf("asking whether a user may read the metrics: %w", err)
	}
	if !may.Status.Allowed {
		return forbidden, nil
	}
	return admitted, nil
}

func (g *Guard) last(key tokenKey) (knownToken, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, seen := g.known[key]
	return last, seen
}

// remember keeps the verdict on a token, in the place of the oldest when there are too many: of one that was not good, if there is such a one.
func (g *Guard) remember(key tokenKey, said knownToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, seen := g.known[key]; !seen && len(g.known) >= bounds.MetricsTokens {
		var oldest *tokenKey
		for other, known := range g.known {
			if oldest == nil || sooner(known, g.known[*oldest]) {
				oldest = &other
			}
		}
		delete(g.known, *oldest)
	}
	g.known[key] = said
}

// sooner tells whether a is forgotten before b.
func sooner(a, b knownToken) bool {
	if (a.verdict == admitted) != (b.verdict == admitted) {
		return b.verdict == admitted
	}
	return a.at.Before(b.at)
}
