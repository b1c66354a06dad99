package simulation_test

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// secondSecret is the client secret after a rotation.
const secondSecret = "second-" + credential

// referenceVerbs are the verbs for objects that accounts name.
func referenceVerbs() map[string]func(*world, step) {
	return map[string]func(*world, step){
		"marketplace": (*world).changeMarketplace, "secret": (*world).changeSecret, "portal": (*world).changePortal, "rename": (*world).rename,
		"refer": (*world).refer, "clientsecret": (*world).rotate,
		"skew": func(w *world, s step) {
			if m := w.markets[s.arg(0)]; m != nil {
				m.ahead, _ = time.ParseDuration(s.arg(1))
			}
		},
		"scopes": func(w *world, s step) {
			if m := w.markets[s.arg(0)]; m != nil {
				m.fewer = s.arg(1) == "fewer"
			}
		},
	}
}

// changeMarketplace takes a Marketplace away, or makes it anew.
func (w *world) changeMarketplace(s step) {
	m := w.markets[s.arg(0)]
	if m == nil {
		return
	}
	at := ref{marketplaces, client.ObjectKey{Name: m.name}}
	there := w.api.stored(at) != nil
	switch {
	case s.arg(1) == "gone" && there:
		w.user(func() error { return w.api.delete(at, "") })
	case s.arg(1) == "back" && !there:
		w.user(func() error { return w.api.create(m.manifest()) })
	default:
		return
	}
	w.excuseAll("the Marketplace was taken away")
	w.calmFrom(time.Now().Add(time.Hour))
}

// changeSecret takes a Secret of users away, or empties it.
func (w *world) changeSecret(s step) {
	at := ref{secrets, client.ObjectKey{Namespace: namespace, Name: s.arg(0)}}
	if w.api.stored(at) == nil || isOwn(w.api.stored(at)) {
		return
	}
	w.excuseAll("a Secret was taken away")
	if s.arg(1) == "gone" {
		w.user(func() error { return w.api.delete(at, "") })
		return
	}
	w.writeSecret(s.arg(0), map[string]string{"other": "x"})
}

// changePortal restarts the operator with or without pages where people sign in.
func (w *world) changePortal(s step) {
	w.noPortal = s.arg(0) == "off"
	for _, p := range w.alive() {
		p.stop()
	}
	w.start()
}

// rename makes an account anew under another name, with the Secrets that the former one named.
func (w *world) rename(s step) {
	of := w.shop(s.arg(0))
	if of == nil || w.account(of) == nil || w.shop(s.arg(1)) != nil {
		return
	}
	next := w.newAccount(of, w.account(of).Spec.AccountID)
	w.user(func() error {
		return w.api.delete(ref{accounts, client.ObjectKey{Namespace: namespace, Name: of.name}}, "")
	})
	w.forgets(of)
	w.run(time.Now().Add(time.Second))
	of.name, next.Name, of.broughtSpent = s.arg(1), s.arg(1), true
	w.user(func() error { return w.api.create(next) })
	of.needs.add(2)
}

// refer has an account name another object that says the same.
func (w *world) refer(s step) {
	of := w.shop(s.arg(0))
	if of == nil {
		return
	}
	switch s.arg(1) {
	case "app":
		of.application = "app2"
		w.writeApplication("app2", clientSecret, "")
	case "marketplace":
		of.reference = of.market + "b"
		twin := w.markets[of.market].manifest()
		twin.Name = of.reference
		if w.api.stored(refOf(twin)) == nil {
			w.user(func() error { return w.api.create(twin) })
		}
	}
	w.excuse(of.name, "it names another object")
	w.edit(s, func(a *v1alpha1.MarketplaceAccount) {
		next := w.newAccount(of, "")
		a.Spec.MarketplaceRef, a.Spec.ApplicationSecretRef = next.Spec.MarketplaceRef, next.Spec.ApplicationSecretRef
	})
}

// rotate has a marketplace take another client secret, or both.
func (w *world) rotate(s step) {
	m := w.markets[s.arg(0)]
	if m == nil {
		return
	}
	m.takes = map[string][]string{"first": {clientSecret}, "both": {clientSecret, secondSecret}, "second": {secondSecret}}[s.arg(1)]
	if s.arg(1) == "second" {
		w.excuseAll("the client secret was wrong")
	}
	w.calm()
}

func (w *world) writeApplication(name, secret, previous string) {
	data := map[string]string{v1alpha1.ApplicationKeyClientID: clientID, v1alpha1.ApplicationKeyClientSecret: secret}
	if previous != "" {
		data[v1alpha1.ApplicationKeyClientSecretPrevious] = previous
	}
	w.writeSecret(name, data)
}

// isRevoked tells whether a grant was revoked that an account took with it.
func (w *world) isRevoked(gone *v1alpha1.MarketplaceAccount) {
	s := w.shop(gone.Name)
	if s == nil || gone.Spec.DeletionPolicy != v1alpha1.DeletionRevoke || len(s.excuses) > 0 || w.calmFor() < 10*time.Minute {
		return
	}
	if c := w.markets[s.market].consents[s.refresh]; c != nil && !c.ended {
		w.breaks("%s is gone, and its grant was not revoked", s.name)
	}
}
