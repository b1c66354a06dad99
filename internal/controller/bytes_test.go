package controller_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// bytesPlatform is a platform whose answers are bytes. Its refresh tokens work once: a second use, after the grace if it has
// one, ends the grant (RFC 9700 section 4.14). It plays its script, an answer for each request, and is honest after that.
type bytesPlatform struct {
	now    func() time.Time
	grace  time.Duration
	script []said
	// down, while it lies ahead, is until when each answer is a gateway's; what is sent first is acted on.
	down time.Time

	mu      sync.Mutex // guards what follows
	issued  int        // pairs that were made
	live    string
	first   map[string]time.Time // when a refresh token was first acted on
	dead    bool
	sent    []sending
	doubles int
}

// sending is one request.
type sending struct {
	token string
	at    time.Time
}

// said is one answer of a script: whether the platform acts on the request first, and what comes back then. good is the honest
// answer's body.
type said struct {
	acts bool
	raw  func(good string) string
}

// respond is a whole answer.
func respond(status int, contentType, body string) func(string) string {
	return func(string) string {
		return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			status, http.StatusText(status), contentType, len(body), body)
	}
}

func pair(n int) string {
	return fmt.Sprintf(`{"access_token":"AT%d-xxxxxxxxxxxxxxxxxxxx","token_type":"Bearer","expires_in":3600,"refresh_token":"RT%d"}`, n, n)
}

// ServeHTTP implements http.Handler.
func (p *bytesPlatform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = buffer.WriteString(p.answer(r.Form.Get("refresh_token")))
	_ = buffer.Flush()
}

func (p *bytesPlatform) answer(token string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.sent = append(p.sent, sending{token, now})
	if now.Before(p.down) {
		if _, used := p.first[token]; !used {
			p.act(token)
		}
		return respond(http.StatusBadGateway, "text/html", "<html><body>Bad Gateway</body></html>")("")
	}
	step := said{acts: true, raw: func(good string) string { return respond(http.StatusOK, "application/json", good)("") }}
	if len(p.script) > 0 {
		step, p.script = p.script[0], p.script[1:]
	}
	good := ""
	if step.acts {
		if good = p.act(token); good == "" {
			return respond(http.StatusBadRequest, "application/json", `{"error":"invalid_grant"}`)("")
		}
	}
	return step.raw(good)
}

// act exchanges a refresh token; the result is empty where it is refused.
func (p *bytesPlatform) act(token string) string {
	first, used := p.first[token]
	within := used && p.now().Sub(first) < p.grace
	if used && !within {
		p.doubles++
		p.dead = true
	}
	if p.dead || token != p.live && !within {
		return ""
	}
	if !used {
		p.first[token] = p.now()
	}
	p.issued++
	p.live = fmt.Sprintf("RT%d", p.issued)
	return pair(p.issued)
}

// sentSince is what was sent since a moment.
func (p *bytesPlatform) sentSince(at time.Time) []sending {
	p.mu.Lock()
	defer p.mu.Unlock()
	var since []sending
	for _, s := range p.sent {
		if !s.at.Before(at) {
			since = append(since, s)
		}
	}
	return since
}

func (p *bytesPlatform) doubleSpends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doubles
}

// says sets what is answered next.
func (p *bytesPlatform) says(script ...said) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

// bytesPlatform prepares an account of grant RefreshToken at a platform whose answers are bytes.
func (w *world) bytesPlatform(grace time.Duration, changes ...func(*v1alpha1.Marketplace)) *bytesPlatform {
	w.T.Helper()
	platform := &bytesPlatform{now: w.clock.Now, grace: grace, live: "RT0", first: map[string]time.Time{}}
	server := httptest.NewServer(platform)
	w.T.Cleanup(server.Close)
	object := &v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace + "-bytes", Labels: map[string]string{testworld.LabelStory: w.Namespace}},
		Spec: v1alpha1.MarketplaceSpec{
			DisplayName:  "Bytes",
			Environments: []v1alpha1.Environment{{Name: "Production"}},
			Grants:       []v1alpha1.GrantType{v1alpha1.GrantRefreshToken, v1alpha1.GrantClientCredentials, v1alpha1.GrantPassword},
			Endpoints:    v1alpha1.Endpoints{Token: v1alpha1.URLTemplate(server.URL + "/token")},
			TokenRequest: v1alpha1.TokenRequest{ClientAuthentication: v1alpha1.ClientAuthenticationBody},
			Limits:       v1alpha1.Limits{RequestsPerSecond: 1000, Concurrency: 100},
		},
	}
	if grace > 0 {
		object.Spec.RefreshToken.ReuseGrace = v1alpha1.Duration(grace.String())
	}
	for _, change := range changes {
		change(object)
	}
	w.Create(object)
	w.T.Cleanup(func() { _ = kube.Delete(w.T.Context(), object) })
	w.secret("app", map[string]string{"client_id": "my-app", "client_secret": "the-secret-of-my-app"})
	w.secret("import", map[string]string{"refresh_token": "RT0"})
	w.account("bytes", v1alpha1.GrantRefreshToken)
	return platform
}

// renewing brings the account to its first token, sets what is answered next, and asks for a renewal.
func (w *world) renewing(platform *bytesPlatform, script ...said) (at time.Time) {
	w.T.Helper()
	w.start()
	w.expectReady()
	w.settle()
	w.pass(time.Minute)
	platform.says(script...)
	at = w.clock.Now()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() int { return len(platform.sentSince(at)) }).Should(Equal(1))
	w.settle()
	return at
}
