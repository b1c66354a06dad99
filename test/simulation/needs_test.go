package simulation_test

import (
	"net/http"
	"net/url"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// needs is the budget of an account: what there is need for and was not done yet. A line of the script, an answer that is missing and a write
// that failed leave something to do; a request that is answered, and a write, do it.
type needs struct {
	// tokens, names and codes are requests for tokens, for whose they are and for device codes that may be made although none is due by itself.
	tokens, names, codes int
	// grants, published and statuses are writes of the grant Secret, the token Secret and the status.
	grants, published, statuses int
	// polled, coded and refusedAt are when a device code was asked about, when there was another one, and when the application was refused.
	polled, coded, refusedAt time.Time
	// counted are all requests and writes, for the quiet time at the end.
	counted  work
	patience patience
}

// work counts the acts for an account.
type work struct{ tokens, documents, others, grants, published, statuses, reads int }

// hoard is how much of a need is remembered: it has to be met soon, or not at all.
const hoard = 6

func (n *needs) add(causes int) {
	n.patience.restart()
	for _, need := range []*int{&n.tokens, &n.names, &n.codes} {
		*need = min(*need+causes, hoard)
	}
	n.grants, n.published, n.statuses = min(n.grants+3*causes, 3*hoard), min(n.published+2*causes, 2*hoard), min(n.statuses+2*causes, 3*hoard)
}

// cause notes that something happened to an account, or to all where there is none of this name.
func (w *world) cause(name string) {
	if s := w.shop(name); s != nil {
		s.needs.add(2)
		return
	}
	for _, s := range w.shops {
		s.needs.add(2)
	}
}

// spend takes one of a need.
func (w *world) spend(s *shop, need *int, what string) {
	if *need--; *need < 0 {
		*need = 0
		w.breaks("%s of %s, and there was no need for it", what, s.name)
	}
}

// isNeeded holds an answered request for an account against its needs.
func (w *world) isNeeded(m *market, request *http.Request, form url.Values, disturbed bool, status int) {
	s := w.shop(w.looking)
	if s == nil {
		return
	}
	n := &s.needs
	n.statuses = min(n.statuses+1, 3*hoard)
	n.grants = min(n.grants+2, 3*hoard)
	if disturbed || len(w.alive()) > 1 {
		kept := n.patience
		n.add(1)
		n.patience = kept // an answer that is missing is no reason to hurry
		return
	}
	if status == http.StatusUnauthorized && form.Get("client_secret") == secondSecret {
		return // the previous client secret follows
	}
	switch request.URL.Path {
	case "/token":
		n.counted.tokens++
		w.isDue(s, m, form, status)
	case "/me":
		n.counted.others++
		w.spend(s, &n.names, "the marketplace was asked whose the tokens are")
	case "/device":
		n.counted.others++
		switch {
		case status == http.StatusUnauthorized:
			w.asksAgain(s, &n.codes, "a device code was asked for")
		case time.Since(n.coded) < 14*time.Minute:
			w.spend(s, &n.codes, "another device code was asked for")
		}
		n.coded = time.Now()
	case discoveryPath, keysPath:
		n.counted.documents++
	default:
		n.counted.others++
	}
}

// isDue tells whether a request for tokens had to be made.
func (w *world) isDue(s *shop, m *market, form url.Values, status int) {
	n := &s.needs
	if form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code" {
		if status == http.StatusUnauthorized {
			return // the application was refused, and the code not looked at: the other client secret follows, or the code is given up
		}
		if status != http.StatusOK && time.Since(n.polled) < time.Minute {
			w.spend(s, &n.codes, "a device code was asked about early")
		}
		n.polled = time.Now()
	}
	if status == http.StatusOK {
		n.names, n.published = min(n.names+1, hoard), min(n.published+1, 2*hoard)
	}
	if form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code" || form.Get("grant_type") == "authorization_code" {
		return
	}
	before := min(time.Hour, m.life/4)
	tokens := w.custody(s).Tokens
	due := tokens == nil || tokens.ExpiresAt.Sub(time.Now().Add(w.clockOffset)) <= before+before/2+time.Second
	switch {
	case status == http.StatusUnauthorized:
		w.asksAgain(s, &n.tokens, "tokens were asked for")
	case status != http.StatusOK || !due:
		w.spend(s, &n.tokens, "tokens were asked for")
	}
}

// asksAgain holds a request that refuses the application against the need for it: the application is tried again now and then.
func (w *world) asksAgain(s *shop, need *int, what string) {
	if time.Since(s.needs.refusedAt) < 5*time.Minute {
		w.spend(s, need, what)
	}
	s.needs.refusedAt = time.Now()
}

// isWritten holds a write of an operator against the needs.
func (w *world) isWritten(verb string, at ref, failed bool) {
	s, of := w.shopOf(at)
	if s == nil {
		return
	}
	n := &s.needs
	if failed || len(w.alive()) > 1 {
		n.add(1)
		return
	}
	switch {
	case at.kind == accounts && verb == "status":
		n.counted.statuses++
		w.spend(s, &n.statuses, "the status was written")
	case of == v1alpha1.GrantSecretSuffix:
		n.counted.grants++
		n.statuses = min(n.statuses+1, 3*hoard)
		w.spend(s, &n.grants, "the grant Secret was written")
	case of == v1alpha1.TokenSecretSuffix:
		n.counted.published++
		n.statuses = min(n.statuses+1, 3*hoard)
		w.spend(s, &n.published, "the token Secret was written")
	}
}

// shopOf is the account that an object belongs to, and the suffix of its name where it is a Secret.
func (w *world) shopOf(at ref) (s *shop, suffix string) {
	if at.kind == accounts {
		return w.shop(at.Name), ""
	}
	for _, s := range w.shops {
		for _, suffix := range []string{v1alpha1.GrantSecretSuffix, v1alpha1.TokenSecretSuffix} {
			if at.Name == s.name+suffix {
				return s, suffix
			}
		}
	}
	return nil, ""
}

// staysQuiet has time pass while nothing happens, and holds what is done then against what renewals take: one request, one write of each of the
// three objects, and another of the grant Secret before it where a refresh token is good for one use.
func (w *world) staysQuiet() {
	longest := time.Duration(0)
	for _, m := range w.markets {
		longest = max(longest, m.life)
	}
	w.run(time.Now().Add(2*longest + 2*time.Hour)) // the acts before are over
	for _, s := range w.shops {
		s.needs.counted = work{}
	}
	w.note("> all is quiet")
	long := 4 * longest
	w.run(time.Now().Add(long))
	for _, s := range w.shops {
		if w.broken != "" || !w.isReady(s) {
			return // a consent that ends asks for a person
		}
		if w.account(s).Status.SignIn == nil { // else there is another link or code each time that one ends
			w.holdsQuiet(s, long)
		}
	}
}

func (w *world) holdsQuiet(s *shop, long time.Duration) {
	m, did := w.markets[s.market], s.needs.counted
	before := min(time.Hour, m.life/4)
	renewals := int(long/(m.life-before-before/2)) + 1
	journals := 0
	if m.rotating && s.grant != v1alpha1.GrantPassword && s.grant != v1alpha1.GrantClientCredentials {
		journals = did.tokens
	}
	days := int(long/(24*time.Hour)) + 1 // the days that are left of a consent
	reads := did.tokens + journals
	if tokens := w.custody(s).Tokens; tokens != nil && tokens.IssuedAt.After(time.Now().Add(w.clockOffset)) {
		reads += renewals // a look for each life of a token until the clock is right, and a grant Secret without labels is in no cache
	}
	switch {
	case did.tokens > renewals:
		w.breaks("in %s of quiet %s was renewed %d times, and %d would do", long, s.name, did.tokens, renewals)
	case did.others > 0:
		w.breaks("in %s of quiet the marketplace was asked for something else of %s %d times", long, s.name, did.others)
	case did.documents > 2*did.tokens:
		w.breaks("in %s of quiet an issuer was asked for what it tells of itself %d times for %d renewals of %s", long, did.documents, did.tokens, s.name)
	case did.grants > did.tokens+journals:
		w.breaks("in %s of quiet the grant Secret of %s was written %d times for %d renewals", long, s.name, did.grants, did.tokens)
	case did.published > did.tokens:
		w.breaks("in %s of quiet the token Secret of %s was written %d times for %d renewals", long, s.name, did.published, did.tokens)
	case did.statuses > did.tokens+days:
		w.breaks("in %s of quiet the status of %s was written %d times for %d renewals", long, s.name, did.statuses, did.tokens)
	case did.reads > reads:
		w.breaks("in %s of quiet the API server was read %d times for %d renewals of %s", long, did.reads, did.tokens, s.name)
	}
}

// isRead counts a read of the API server for an account.
func (w *world) isRead() {
	if s := w.shop(w.looking); s != nil {
		s.needs.counted.reads++
	}
}

// refOf is the place of an object.
func refOf(object client.Object) ref { return ref{kindOf(object), client.ObjectKeyFromObject(object)} }
