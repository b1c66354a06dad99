package simulation_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// A script is a history: a line for each thing that happens. A line that does not fit what is there does nothing, so that lines can be left
// out when a script is shrunk.
//
//	market m0 rotating strict grace=60s life=12h consent=2160h sliding tells=answer
//	account a1 market=m0 grant=RefreshToken expects=seller-1 revoke
//	pass 11h                                time passes
//	answer m0 lost                          how the next token request is answered: see faults
//	outage m0 page503 for=1h                how every request is answered
//	identity m0 for=1h                      identity requests are answered 503
//	keys m0 for=1h alone                    and so are requests for what an issuer tells of itself, or for its keys alone
//	ask a1 renew | verify | sign-in         a person asks by an annotation
//	endtoken a1                             the marketplace ends the access token early
//	import a1 as=seller-9 | importagain a1  the user brings another refresh token, or the last but one
//	sign-in a1 as=seller-1 after=30s twice  a person signs in at a browser
//	deny a1                                 a person declines there
//	approve a1 as=seller-1 | decline a1     a person answers the device code
//	policy a1 Suspended | Automatic
//	expect a1 seller-2 | nobody             spec.accountID
//	password wrong | right                  what the user's Secrets hold
//	application wrong | right | second      the client secret; with second, the first one stands there as the previous one
//	clientsecret m0 first | both | second   which client secrets the marketplace takes
//	marketplace m0 gone | back              the Marketplace is taken away, and made anew
//	secret app gone | empty                 a Secret of the user is taken away, or its keys are
//	rename a1 b1                            the account is made anew under another name, with the same Secrets
//	refer a1 app | marketplace              the account names another object that says the same
//	portal off | on                         the operator runs without pages to sign in
//	scopes m0 fewer | all                   what is granted
//	skew m0 1m                              the clock of the marketplace
//	touch app                               a tool labels a Secret
//	recreate a1                             the account is deleted and made anew
//	keep                                    all is backed up
//	restore a1                              account and Secrets are put back as Velero does
//	putback a1                              the grant Secret alone is put back
//	lose a1 grant | token                   a Secret is deleted
//	deface a1                               somebody writes into the token Secret
//	revoke a1                               the seller ends the grant at the marketplace
//	crash in=3 after back=10s               the operator is killed at a call that is still to come
//	kill back=10s                           it is killed now
//	stall in=2 for=3m second                it stands still, and another takes over meanwhile
//	second | alone                          another operator leads by mistake, and ends
//	restart                                 the operator is asked to end, and another begins
//	refuse verb=update kind=secrets how=conflict in=1 times=2 for=30s
//	lag for=30s                             watches are late
//	clock 1h                                the operators' clocks are set
type step struct {
	verb string
	args []string
}

func parseStep(line string) step {
	words := strings.Fields(line)
	return step{words[0], words[1:]}
}

// parse reads a script. Lines that begin with # say its subject.
func parse(text string) []step {
	var script []step
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			script = append(script, parseStep(line))
		}
	}
	return script
}

func (s step) String() string { return strings.Join(append([]string{s.verb}, s.args...), " ") }

// arg is an argument by its place; empty where it is not there.
func (s step) arg(at int) string {
	if at < len(s.args) {
		return s.args[at]
	}
	return ""
}

// value is the value of key=value; empty where it is not there.
func (s step) value(key string) string {
	for _, arg := range s.args {
		if value, ok := strings.CutPrefix(arg, key+"="); ok {
			return value
		}
	}
	return ""
}

func (s step) has(word string) bool { return slices.Contains(s.args, word) }

func (s step) duration(key string) time.Duration {
	d, _ := time.ParseDuration(s.value(key))
	return d
}

func (s step) number(key string) int {
	n, _ := strconv.Atoi(s.value(key))
	return n
}

// do takes a step, and lets all others take the steps that follow at once.
func (w *world) do(s step) {
	w.note("> %s", s)
	if s.verb != "pass" {
		w.cause(s.arg(0))
	}
	if do := verbs[s.verb]; do != nil {
		do(w, s)
	} else {
		w.breaks("the script has no verb %q", s.verb)
	}
	w.run(time.Now())
}

var verbs map[string]func(*world, step)

func init() { //nolint:gochecknoinits // the verbs name functions that name the verbs
	verbs = map[string]func(*world, step){
		"market": (*world).makeMarket, "account": (*world).makeAccount,
		"pass": func(w *world, s step) {
			d, _ := time.ParseDuration(s.arg(0))
			w.run(time.Now().Add(d))
		},
		"answer": func(w *world, s step) {
			if _, known := faults[s.arg(1)]; !known {
				w.breaks("there is no answer %q", s.arg(1))
			}
			if m := w.markets[s.arg(0)]; m != nil {
				m.next = append(m.next, s.arg(1))
			}
		},
		"outage": func(w *world, s step) {
			if m := w.markets[s.arg(0)]; m != nil {
				m.outage, m.outageEnds = s.arg(1), time.Now().Add(s.duration("for"))
				w.calmFrom(m.outageEnds)
				if faults[m.outage].verdict {
					m.outage = ""
				}
			}
		},
		"identity": func(w *world, s step) {
			if m := w.markets[s.arg(0)]; m != nil {
				m.identityDown = time.Now().Add(s.duration("for"))
				w.calmFrom(m.identityDown)
			}
		},
		"keys": func(w *world, s step) {
			if m := w.markets[s.arg(0)]; m != nil {
				m.keysDown, m.keysAlone = time.Now().Add(s.duration("for")), s.has("alone")
				w.calmFrom(m.keysDown)
			}
		},
		"ask": (*world).ask, "import": (*world).bringToken, "importagain": (*world).bringTokenAgain,
		"sign-in": (*world).signIn, "deny": (*world).signIn, "approve": (*world).approve, "decline": (*world).approve,
		"policy": func(w *world, s step) {
			w.edit(s, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalPolicy(s.arg(1)) })
		},
		"expect": func(w *world, s step) {
			w.edit(s, func(a *v1alpha1.MarketplaceAccount) {
				if a.Spec.Grant.Type == v1alpha1.GrantClientCredentials {
					return
				}
				if a.Spec.AccountID = s.arg(1); s.arg(1) == "nobody" {
					a.Spec.AccountID = ""
				}
				w.excuse(a.Name, "the expected account was edited")
			})
		},
		"password": func(w *world, s step) {
			w.writeSecret("login", map[string]string{v1alpha1.PasswordKeyUsername: username, v1alpha1.PasswordKeyPassword: rightOr(s.arg(0), password)})
		},
		"application": func(w *world, s step) {
			for _, name := range []string{"app", "app2"} {
				switch {
				case name == "app2" && w.secret(name) == nil:
				case s.arg(0) == "second":
					w.writeApplication(name, secondSecret, clientSecret)
				default:
					w.writeApplication(name, rightOr(s.arg(0), clientSecret), "")
				}
			}
			if s.arg(0) == "wrong" {
				w.excuseAll("the client secret was wrong")
			}
		},
		"touch": func(w *world, s step) {
			w.user(func() error {
				if held := w.secret(s.arg(0)); held != nil {
					next := held.DeepCopy()
					next.Labels = map[string]string{"touched": fmt.Sprint(w.api.version)}
					return w.api.update(next)
				}
				return nil
			})
		},
		"recreate": (*world).recreate, "keep": (*world).keep, "restore": (*world).restore, "putback": (*world).putBack, "lose": (*world).lose,
		"endtoken": func(w *world, s step) {
			if of := w.shop(s.arg(0)); of != nil {
				if tokens := w.custody(of).Tokens; tokens != nil && w.markets[of.market].issued[tokens.AccessToken] != nil {
					w.markets[of.market].issued[tokens.AccessToken].expires = time.Time{}
				}
			}
		},
		"deface": (*world).deface, "revoke": (*world).revoke,
		"crash": func(w *world, s step) {
			if p := w.leader(); p != nil {
				p.crash = &disturbance{in: s.number("in"), after: s.has("after"), long: s.duration("back")}
			}
		},
		"kill": func(w *world, s step) {
			if p := w.leader(); p != nil {
				p.kill()
				w.restartAt = append(w.restartAt, time.Now().Add(s.duration("back")))
			}
		},
		"stall": func(w *world, s step) {
			if p := w.leader(); p != nil {
				p.stall = &disturbance{in: s.number("in"), after: s.has("after"), long: s.duration("for")}
				if s.has("second") {
					w.start()
				}
			}
		},
		"second": func(w *world, _ step) {
			if len(w.alive()) < 3 {
				w.start()
			}
		},
		"alone": (*world).leaveOne,
		"restart": func(w *world, _ step) {
			if p := w.leader(); p != nil {
				p.stop()
				w.start()
			}
		},
		"refuse": func(w *world, s step) {
			r := &standingRefusal{refusal: refusal{s.value("how"), s.value("how") == "lost"}, verb: s.value("verb"), kind: kind(s.value("kind")), in: s.number("in"), times: max(1, s.number("times"))}
			if long := s.duration("for"); long > 0 {
				r.until = time.Now().Add(long)
				w.calmFrom(r.until)
			}
			w.refusals = append(w.refusals, r)
		},
		"lag": func(w *world, s step) {
			for _, p := range w.alive() {
				p.lagUntil = time.Now().Add(s.duration("for"))
				w.calmFrom(p.lagUntil)
			}
		},
		"clock": func(w *world, s step) {
			d, _ := time.ParseDuration(s.arg(0))
			w.clockOffset += d
			for _, p := range w.processes {
				p.offset = w.clockOffset
			}
			w.clockSet = time.Now()
			for _, m := range w.markets { // an operator notices when it looks
				w.calmFrom(time.Now().Add(m.life + 6*time.Hour))
			}
			w.excuseAll("the clock was set")
		},
	}
	maps.Copy(verbs, referenceVerbs())
}

func rightOr(word, right string) string {
	if word == "right" {
		return right
	}
	return word + "-" + credential
}

// ---- the beginnings

func (w *world) makeMarket(s step) {
	m := newMarket(w, s.arg(0))
	m.rotating, m.strict, m.grace, m.life = s.has("rotating"), s.has("strict"), s.duration("grace"), s.duration("life")
	m.consentLife, m.sliding, m.tells = s.duration("consent"), s.has("sliding"), s.value("tells")
	if w.markets[m.name] != nil || m.life == 0 {
		return
	}
	w.markets[m.name] = m
	w.user(func() error { return w.api.create(m.manifest()) })
	if w.secret("app") == nil {
		w.writeApplication("app", clientSecret, "")
		w.writeSecret("login", map[string]string{v1alpha1.PasswordKeyUsername: username, v1alpha1.PasswordKeyPassword: password})
	}
	if len(w.alive()) == 0 {
		w.start()
	}
}

func (w *world) makeAccount(s step) {
	m := w.markets[s.value("market")]
	if m == nil || w.shop(s.arg(0)) != nil {
		return
	}
	made := &shop{name: s.arg(0), market: m.name, grant: v1alpha1.GrantType(s.value("grant")), seller: s.value("seller"), known: s.arg(0), application: "app", brings: s.arg(0) + "-import",
		deletion: v1alpha1.DeletionDelete}
	if s.has("revoke") {
		made.deletion = v1alpha1.DeletionRevoke
	}
	made.needs.add(2)
	w.shops = append(w.shops, made)
	if made.grant == v1alpha1.GrantRefreshToken {
		w.bring(made, m.grant(made.seller))
	}
	w.user(func() error { return w.api.create(w.newAccount(made, s.value("expects"))) })
}

func (w *world) newAccount(s *shop, expects string) *v1alpha1.MarketplaceAccount {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.name, Annotations: map[string]string{}}}
	account.Spec.MarketplaceRef.Name = cmp.Or(s.reference, s.market)
	account.Spec.Environment = "Production"
	account.Spec.ApplicationSecretRef.Name = s.application
	account.Spec.Grant.Type = s.grant
	account.Spec.AccountID = expects
	account.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic
	account.Spec.DeletionPolicy = s.deletion
	switch s.grant {
	case v1alpha1.GrantRefreshToken:
		account.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: s.brings}}
	case v1alpha1.GrantPassword:
		account.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	}
	return account
}

// writeSecret makes or replaces a Secret of the user.
func (w *world) writeSecret(name string, data map[string]string) {
	w.user(func() error {
		next := secretOf(name, data)
		if held := w.secret(name); held != nil {
			next.Labels = held.Labels
			return w.api.update(next)
		}
		return w.api.create(next)
	})
}

func (w *world) bring(s *shop, token string) {
	w.writeSecret(s.brings, map[string]string{v1alpha1.RefreshTokenKeyRefreshToken: token})
}

// ---- the acts of users

// edit changes an account.
func (w *world) edit(s step, change func(*v1alpha1.MarketplaceAccount)) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	w.user(func() error {
		held := w.account(of)
		if held == nil {
			return nil
		}
		next := held.DeepCopy()
		change(next)
		return w.api.update(next)
	})
}

func (w *world) ask(s step) {
	annotation := map[string]string{"renew": v1alpha1.AnnotationRenew, "verify": v1alpha1.AnnotationVerify, "sign-in": v1alpha1.AnnotationSignIn}[s.arg(1)]
	w.edit(s, func(a *v1alpha1.MarketplaceAccount) {
		if a.Annotations == nil {
			a.Annotations = map[string]string{}
		}
		a.Annotations[annotation] = fmt.Sprint(w.api.version)
		switch of := w.shop(a.Name); annotation {
		case v1alpha1.AnnotationRenew:
			of.asked = true
		case v1alpha1.AnnotationVerify:
			of.verifyAsked = time.Now()
		}
	})
}

func (w *world) bringToken(s step) {
	if of := w.shop(s.arg(0)); of != nil && of.grant == v1alpha1.GrantRefreshToken {
		of.imports++
		seller := of.seller
		if as := s.value("as"); as != "" {
			seller = as
			w.excuse(of.name, "the user brought another seller's refresh token")
		}
		w.bring(of, w.markets[of.market].grant(seller))
	}
}

// bringTokenAgain puts a refresh token back that was replaced, as the rollback of a repository does.
func (w *world) bringTokenAgain(s step) {
	of := w.shop(s.arg(0))
	if of == nil || of.grant != v1alpha1.GrantRefreshToken {
		return
	}
	if spent := w.custody(of).SpentImports; len(spent) > 0 {
		w.excuse(of.name, "the user brought back a refresh token")
		w.bring(of, spent[0])
	}
}

func (w *world) recreate(s step) {
	of := w.shop(s.arg(0))
	if of == nil || w.account(of) == nil {
		return
	}
	expects := w.account(of).Spec.AccountID
	w.user(func() error {
		return w.api.delete(ref{accounts, client.ObjectKey{Namespace: namespace, Name: of.name}}, "")
	})
	w.forgets(of)
	w.run(time.Now().Add(time.Second))
	if of.grant == v1alpha1.GrantRefreshToken {
		w.bring(of, w.markets[of.market].grant(of.seller))
	}
	w.user(func() error { return w.api.create(w.newAccount(of, expects)) })
}

// forgets notes that an account begins anew.
func (w *world) forgets(s *shop) {
	for _, p := range w.processes { // requests on their way have no process now
		maps.DeleteFunc(p.hand, func(_ string, c *consent) bool { return c.account == s.name })
	}
	s.serial, s.published = 0, nil
	w.excuse(s.name, "it was made anew")
}

func (w *world) keep(step) {
	w.kept = map[ref]client.Object{}
	for _, of := range []kind{accounts, secrets} {
		for _, at := range w.api.refs(of) {
			w.kept[at] = w.api.stored(at)
		}
	}
}

// restore puts an account and its Secrets back as Velero does: the account has another UID and no status, and the Secrets have no owners.
func (w *world) restore(s step) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	held, ok := w.kept[ref{accounts, client.ObjectKey{Namespace: namespace, Name: of.name}}].(*v1alpha1.MarketplaceAccount)
	if !ok {
		return
	}
	w.user(func() error { return w.api.delete(ref{accounts, client.ObjectKeyFromObject(held)}, "") })
	w.forgets(of)
	w.excuse(of.name, "it was restored")
	of.restored, of.asked = true, false
	of.broughtSpent = w.kept[ref{secrets, client.ObjectKey{Namespace: namespace, Name: of.name + v1alpha1.GrantSecretSuffix}}] == nil
	w.run(time.Now().Add(time.Second))
	for _, suffix := range []string{v1alpha1.GrantSecretSuffix, v1alpha1.TokenSecretSuffix} {
		w.putBackSecret(of.name+suffix, true)
	}
	w.putBackSecret(of.brings, true)
	w.user(func() error {
		next := held.DeepCopy()
		next.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: of.name, Annotations: map[string]string{}}
		next.Status = v1alpha1.MarketplaceAccountStatus{}
		return w.api.create(next)
	})
}

func (w *world) putBackSecret(name string, anew bool) {
	held, ok := w.kept[ref{secrets, client.ObjectKey{Namespace: namespace, Name: name}}].(*corev1.Secret)
	if !ok {
		return
	}
	w.user(func() error {
		next := held.DeepCopy()
		next.ResourceVersion, next.UID = "", ""
		if anew {
			next.OwnerReferences = nil
		}
		if w.secret(name) != nil {
			return w.api.update(next)
		}
		return w.api.create(next)
	})
}

// putBack puts the grant Secret alone back, as a restore of one object does.
func (w *world) putBack(s step) {
	of := w.shop(s.arg(0))
	if of == nil || w.account(of) == nil {
		return
	}
	held := w.kept[ref{secrets, client.ObjectKey{Namespace: namespace, Name: of.name + v1alpha1.GrantSecretSuffix}}]
	if held == nil || !slices.ContainsFunc(held.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == w.account(of).UID }) {
		return
	}
	of.restored, of.asked = true, false
	w.excuse(of.name, "its grant Secret was put back")
	w.notesUntold(of, held.(*corev1.Secret))
	w.putBackSecret(of.name+v1alpha1.GrantSecretSuffix, false)
}

// notesUntold notes which refresh tokens were sent without anything that tells, once a grant Secret is put back. The status tells of each set of tokens that
// was stored, and of each refresh token that was given up. It does not tell of one whose answer an operator waits for, or has not lived to store, nor of a set
// of tokens that an operator has stored before it ended.
func (w *world) notesUntold(s *shop, back *corev1.Secret) {
	kept, err := tokensecret.DecodeCustody(back)
	seen, now := w.account(s).Status.AccessToken, w.custody(s)
	if err != nil || seen != nil && seen.Serial > kept.Serial {
		return
	}
	if now.Journal != nil || now.RefreshToken != kept.RefreshToken {
		s.untold = append(s.untold, kept.RefreshToken)
	}
	if entry := now.ImportJournal; entry != nil {
		s.untold = append(s.untold, entry.Imported)
	}
}

func (w *world) lose(s step) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	name := of.name + v1alpha1.TokenSecretSuffix
	if s.arg(1) == "grant" {
		name = of.name + v1alpha1.GrantSecretSuffix
		of.restored, of.asked, of.serial = true, false, 0
		if account := w.account(of); account == nil || account.Status.AccessToken == nil || account.Status.AccessToken.Serial == 0 {
			of.broughtSpent = true // nothing tells of the loss
		}
		w.excuse(of.name, "its grant Secret was deleted")
	}
	w.user(func() error {
		return w.api.delete(ref{secrets, client.ObjectKey{Namespace: namespace, Name: name}}, "")
	})
}

func (w *world) deface(s step) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	w.user(func() error {
		held := w.secret(of.name + v1alpha1.TokenSecretSuffix)
		if held == nil {
			return nil
		}
		next := held.DeepCopy()
		next.Data[v1alpha1.TokenKeyAccessToken] = []byte("something else")
		return w.api.update(next)
	})
}

func (w *world) revoke(s step) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	if c := w.markets[of.market].consents[w.custody(of).RefreshToken]; c != nil {
		c.ended = true
	}
	w.excuse(of.name, "the seller ended the grant")
}

func (w *world) leaveOne(step) {
	alive := w.alive()
	for _, p := range alive[:max(0, len(alive)-1)] {
		p.kill()
	}
	w.calm()
}

// ---- the acts of people

// person calls a function as a person at a browser, and waits for it.
func (w *world) person(of *shop, do func(ctx context.Context)) {
	defer w.worksOn(of.name)()
	w.cause(of.name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		do(ctx)
	}()
	w.await(done)
}

// link is the link that an account shows: in the status, or in a Secret.
func (w *world) link(of *shop, account *v1alpha1.MarketplaceAccount) string {
	if !w.linksInSecret {
		return account.Status.SignIn.URL
	}
	if secret := w.secret(of.name + v1alpha1.SignInSecretSuffix); secret != nil {
		return string(secret.Data[v1alpha1.SignInKeyURL])
	}
	return ""
}

// signIn is a person who follows the link that is shown, and comes back as a seller, or having declined.
func (w *world) signIn(s step) {
	of, p := w.shop(s.arg(0)), w.leader()
	if of == nil || p == nil || of.grant != v1alpha1.GrantAuthorizationCode {
		return
	}
	account := w.account(of)
	if account == nil || account.Status.SignIn == nil {
		return
	}
	key := types.NamespacedName{Namespace: namespace, Name: of.name}
	var visit signin.Visit
	var err error = errors.New("the operator ended")
	w.person(of, func(ctx context.Context) {
		visit, err = p.visits.Begin(ctx, key, signin.TicketOf(w.link(of, account)), nil)
	})
	if err != nil {
		w.note("a person at the link of %s is told: %v", of.name, err)
		return
	}
	address, err := url.Parse(visit.URL)
	if err != nil {
		w.breaks("the sign-in of %s leads to no address: %v", of.name, err)
		return
	}
	w.run(time.Now().Add(s.duration("after")))
	m := w.markets[of.market]
	query := url.Values{"state": {address.Query().Get("state")}}
	if s.verb == "deny" {
		query.Set("error", "access_denied")
	} else {
		m.serial++
		name := fmt.Sprintf("C%d-%s", m.serial, credential)
		m.codes[name] = &code{seller: s.value("as"), nonce: address.Query().Get("nonce"), account: of.name, until: time.Now().Add(time.Minute)}
		query.Set("code", name)
	}
	for range 1 + strings.Count(s.String(), " twice") {
		if p = w.leader(); p == nil {
			return
		}
		w.person(of, func(ctx context.Context) {
			outcome, err := p.visits.Complete(ctx, account.Spec.MarketplaceRef.Name, query, func(name string) string {
				if name == visit.CookieName {
					return visit.CookieValue
				}
				return ""
			})
			w.note("a person who signed in to %s is told: %+v, %v", of.name, outcome, err)
		})
	}
}

// approve is a person who enters the device code.
func (w *world) approve(s step) {
	of := w.shop(s.arg(0))
	if of == nil || of.grant != v1alpha1.GrantDeviceCode {
		return
	}
	waiting := w.custody(of).SignIn.Device
	if waiting == nil {
		return
	}
	if held := w.markets[of.market].devices[waiting.Code]; held != nil {
		held.approved, held.denied = s.value("as"), s.verb == "decline"
	}
}
