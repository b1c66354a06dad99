package portal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

const (
	// sessionCookie holds the visitor's bearer token itself: every replica can answer, and a token that is revoked
	// ends the session.
	sessionCookie = "__Host-tokenkeeper-session"
	// audience is that of a token made for the portal alone, which is of no use anywhere else.
	audience = "tokenkeeper"
	// reviewLife is how long the API server's word on a token is taken for granted.
	reviewLife = 10 * time.Second

	formField = "form"
)

// bearerToken is what a token may look like (RFC 6750 section 2.1). Anything else cannot be one, nor a cookie's value.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// visitor is somebody whose token the API server knows.
type visitor struct {
	token string
	key   tokenKey
	user  authenticationv1.UserInfo
	// near is the namespace whose accounts they came for; empty for none.
	near string
}

// tokenKey stands for a token in memory.
type tokenKey [sha256.Size]byte

// review is what the API server said of a token.
type review struct {
	user authenticationv1.UserInfo
	at   time.Time
}

// reviews are those of tokens that were good when they were last looked at.
type reviews struct {
	mu   sync.Mutex
	good *recent[tokenKey, *review]
}

// of returns the last review of a token; nil when it was not good, or never seen.
func (r *reviews) of(key tokenKey) *review {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, _ := r.good.get(key)
	return known
}

func (r *reviews) put(key tokenKey, known *review) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good.put(key, known)
}

// sessionError is why there is no visitor.
type sessionError string

// Why somebody has to enter a token. The values are not shown.
const (
	sessionNone    sessionError = "no session"
	sessionEnded   sessionError = "the session has ended"
	tokenRefused   sessionError = "the token is refused"
	tokenMissing   sessionError = "no token was entered"
	tokenMalformed sessionError = "this cannot be a token"
	cookieRefused  sessionError = "the browser does not keep the session"
	tokenTooLong   sessionError = "the token does not fit into a cookie"
)

func (e sessionError) Error() string { return string(e) }

// visitor tells who sent a request: a sessionError when nobody did.
func (p *Portal) visitor(r *http.Request) (*visitor, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		if r.URL.Path == listPath && r.URL.Query().Get(noticeField) == noticeEntered {
			return nil, cookieRefused
		}
		return nil, sessionNone
	}
	who, err := p.recognise(r, cookie.Value)
	if _, isSession := errors.AsType[sessionError](err); isSession {
		return nil, sessionEnded
	}
	return who, err
}

// recognise asks the API server who holds a token.
func (p *Portal) recognise(r *http.Request, token string) (*visitor, error) {
	switch {
	case token == "":
		return nil, tokenMissing
	case len(token) > maxToken:
		return nil, tokenTooLong
	case !bearerToken.MatchString(token):
		return nil, tokenMalformed
	}
	who := &visitor{token: token, key: sha256.Sum256([]byte(token))}
	known := p.reviews.of(who.key)
	now := p.clock.Now()
	if known != nil && now.Sub(known.at) >= 0 && now.Sub(known.at) < reviewLife {
		who.user = known.user
		return who, nil
	}
	done := func(bool) {}
	if known == nil { // a token that was good before is no guess, so it does not wait for those who guess
		var err error
		if done, err = p.admit(r, token); err != nil {
			return nil, err
		}
	}
	user, err := p.review(r.Context(), token)
	done(err == nil && user == nil)
	switch {
	case err != nil:
		return nil, err
	case user == nil:
		if known != nil {
			p.reviews.put(who.key, nil)
		}
		return nil, tokenRefused
	}
	p.reviews.put(who.key, &review{user: *user, at: now})
	who.user = *user
	return who, nil
}

// admit lets a token pass that was not seen before, and its result be told. What cannot be good costs the API server nothing.
// What the cluster has signed does not wait for strangers.
func (p *Portal) admit(r *http.Request, token string) (done func(failed bool), err error) {
	judged, subject := p.keys.judge(r.Context(), token)
	switch judged {
	case forged:
		return nil, tokenRefused
	case signed: // and perhaps revoked since
		admitted, within := p.subjects.admit(subject)
		if !within {
			return nil, &limitedError{anotherFailure}
		}
		return admitted, nil
	}
	// Any other may be right too, for behind a proxy everybody has one address: where too many were wrong, it is looked at more
	// slowly.
	admitted, within := p.tokens.admit(p.addressOf(r))
	if !within {
		if err := p.doubtful.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	return admitted, nil
}

// review asks the API server about a token, first as one for itself, then as one for the portal. It returns nil when
// the token is good for neither.
func (p *Portal) review(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	for _, audiences := range [][]string{nil, {audience}} {
		asked := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
		if err := p.writer.Create(ctx, asked); err != nil {
			return nil, &clusterError{"reviewing a token", err}
		}
		// An authenticator that knows no audiences names none: the token is then good for the API server.
		fits := audiences == nil || len(asked.Status.Audiences) == 0 || slices.Contains(asked.Status.Audiences, audience)
		if asked.Status.Authenticated && fits && asked.Status.User.Username != "" {
			return &asked.Status.User, nil
		}
	}
	return nil, nil
}

// visitorOfForm tells who sent a form, which must be one of the portal's own.
func (p *Portal) visitorOfForm(r *http.Request) (*visitor, error) {
	if err := r.ParseForm(); err != nil {
		return nil, unreadable(err)
	}
	who, err := p.visitor(r)
	if err != nil {
		return nil, err
	}
	if !p.ownForm(r, who) {
		return nil, &signin.Error{Problem: problemForm}
	}
	return who, nil
}

// ownForm tells whether a form is one that this session was given.
func (p *Portal) ownForm(r *http.Request, who *visitor) bool {
	return hmac.Equal([]byte(r.PostForm.Get(formField)), []byte(p.formToken(who, r.URL.Path)))
}

// formToken goes with each form of a session. Only who holds the session's token can make it, and it is good for
// one session and one path.
func (p *Portal) formToken(who *visitor, path string) string {
	mac := hmac.New(sha256.New, []byte(who.token))
	fmt.Fprintf(mac, "form of the portal %s\n%s", p.address, path)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// setCookie sets a cookie of this host alone, which no script reads, and which comes along when a marketplace sends the browser
// back (SameSite=Lax). A life of zero is that of the browser's session.
func (p *Portal) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	var ends time.Time
	if life > 0 {
		ends = p.clock.Now().Add(life)
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Expires: ends, MaxAge: int(life / time.Second), // which counts first: a browser's clock may be wrong
	})
}

// dropCookie makes the browser forget a cookie.
func (p *Portal) dropCookie(w http.ResponseWriter, name string) {
	p.setCookie(w, name, "", -time.Second)
}
