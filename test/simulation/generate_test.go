package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var grants = []v1alpha1.GrantType{
	v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword,
	v1alpha1.GrantClientCredentials,
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// generate makes the script of a seed. Most histories are short: of an account or two, and some steps that lead somewhere together. In the others
// everything happens to everybody.
func generate(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &generator{Rand: r, of: map[string]v1alpha1.GrantType{}, sellers: map[string]string{}, short: r.IntN(4) > 0}
	g.beginnings()
	if g.short {
		for range 1 + r.IntN(3) {
			g.addTale(2)
		}
		return g.script
	}
	for range 10 + r.IntN(40) {
		if r.IntN(8) == 0 {
			g.addTale(3)
			continue
		}
		a := g.account()
		g.add("%s", nextStep(r, a, g.sellers[a], g.life, g.tells))
	}
	return g.script
}

// generator draws the script of a history.
type generator struct {
	*rand.Rand
	script []step
	// of are the grants of the accounts, and sellers whose they are.
	of      map[string]v1alpha1.GrantType
	sellers map[string]string
	// life is how long a token lives, and tells that whose tokens they are is told.
	life         time.Duration
	tells, short bool
}

func (g *generator) add(format string, args ...any) {
	g.script = append(g.script, parseStep(fmt.Sprintf(format, args...)))
}

// account draws one of the accounts.
func (g *generator) account() string { return fmt.Sprintf("a%d", 1+g.IntN(len(g.of))) }

// addTale adds steps that lead somewhere together: in one of so many cases, steps for accounts of the same grant.
func (g *generator) addTale(one int) {
	a := g.account()
	lines := nextTale(g.Rand, a, g.sellers[a], g.life, g.tells)
	if g.IntN(one) == 0 {
		lines = taleOf(g.Rand, a, g.sellers[a], g.of[a], g.life)
	}
	for _, line := range lines {
		g.add("%s", line)
	}
}

// beginnings draws a marketplace and its accounts. Short histories begin with the steps of a person to a first token.
func (g *generator) beginnings() {
	r := g.Rand
	rotation := pick(r, "", "rotating strict", "rotating strict", "rotating grace=60s", "rotating grace=1h")
	g.life = pick(r, 12*time.Hour, 12*time.Hour, time.Hour, 10*time.Minute)
	consent := pick(r, "", "", "", "consent=2160h sliding", "consent=720h", "consent=48h")
	g.add("market m0 %s life=%s %s tells=%s", rotation, g.life, consent, pick(r, "answer", "request", "idtoken", "nothing"))
	g.tells = g.script[0].value("tells") != "nothing"
	count := 1 + r.IntN(3)
	if g.short {
		count = pick(r, 1, 1, 2)
	}
	twins := r.IntN(4) == 0
	for at := 1; at <= count; at++ {
		g.addAccount(fmt.Sprintf("a%d", at), at, twins)
	}
}

// addAccount adds an account. twins tells that it is one of the same seller as the first, which is older.
func (g *generator) addAccount(a string, at int, twins bool) {
	r, seller, grant, expects := g.Rand, fmt.Sprintf("seller-%d", at), pick(g.Rand, grants...), ""
	if twins && at > 1 {
		seller = "seller-1"
		g.add("pass 2s")
	}
	if g.tells && grant != v1alpha1.GrantClientCredentials && r.IntN(2) == 0 {
		expects = "expects=" + seller
		if grant == v1alpha1.GrantPassword {
			expects = "expects=seller-1"
		}
	}
	g.of[a], g.sellers[a] = grant, seller
	g.add("account %s market=m0 grant=%s seller=%s %s %s", a, grant, seller, expects, pick(r, "", "revoke"))
	if !g.short || r.IntN(4) == 0 {
		return
	}
	switch grant {
	case v1alpha1.GrantAuthorizationCode:
		g.add("sign-in %s as=%s after=10s", a, seller)
	case v1alpha1.GrantDeviceCode:
		g.add("approve %s as=%s", a, seller)
		g.add("pass 65s")
	}
}

func some(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most))).Truncate(time.Second) + time.Second
}

// nextStep draws a step.
func nextStep(r *rand.Rand, a, seller string, life time.Duration, tells bool) string {
	after := pick(r, "", " after")
	switch n := r.IntN(100); {
	case n < 24:
		return fmt.Sprintf("pass %s", some(r, pick(r, time.Minute, 10*time.Minute, life, 3*life)))
	case n < 36:
		return "answer m0 " + pick(r, faultNames...)
	case n < 40:
		return fmt.Sprintf("outage m0 %s for=%s", pick(r, "page503", "page503", "lost", "unreachable", "hang", "throttled", "proxy503", "page502idle"), some(r, pick(r, time.Minute, time.Hour)))
	case n < 42:
		return fmt.Sprintf("%s for=%s", pick(r, "identity m0", "keys m0", "keys m0 alone"), some(r, pick(r, time.Minute, 20*time.Minute, life)))
	case n < 49:
		return fmt.Sprintf("ask %s %s", a, pick(r, "renew", "renew", "verify", "sign-in"))
	case n < 52:
		return "import " + a
	case n < 53:
		return "importagain " + a
	case n < 61:
		return fmt.Sprintf("%s %s as=%s after=%s%s", pick(r, "sign-in", "sign-in", "sign-in", "deny"), a, pick(r, seller, seller, seller, "seller-9"), some(r, pick(r, time.Minute, 15*time.Minute)), pick(r, "", " twice"))
	case n < 66:
		return fmt.Sprintf("%s %s as=%s", pick(r, "approve", "approve", "approve", "decline"), a, pick(r, seller, seller, "seller-9"))
	case n < 68:
		return fmt.Sprintf("policy %s %s", a, pick(r, "Suspended", "Automatic"))
	case n < 69:
		if !tells {
			return "pass 1s"
		}
		return fmt.Sprintf("expect %s %s", a, pick(r, seller, "seller-9", "nobody"))
	case n < 70:
		return "password " + pick(r, "wrong", "right")
	case n < 71:
		return "application " + pick(r, "wrong", "right")
	case n < 72:
		return "touch " + pick(r, "app", "login", a+"-import")
	case n < 73:
		return "recreate " + a
	case n < 75:
		return "keep"
	case n < 76:
		return "restore " + a
	case n < 77:
		return "putback " + a
	case n < 79:
		return fmt.Sprintf("lose %s %s", a, pick(r, "grant", "token"))
	case n < 80:
		return "deface " + a
	case n < 81:
		return "revoke " + a
	case n < 87:
		return fmt.Sprintf("crash in=%d%s back=%s", r.IntN(12), after, some(r, pick(r, 10*time.Second, 10*time.Second, time.Hour)))
	case n < 88:
		return fmt.Sprintf("kill back=%s", some(r, time.Minute))
	case n < 90:
		return fmt.Sprintf("stall in=%d%s for=%s second", r.IntN(10), after, some(r, pick(r, 10*time.Second, 3*time.Minute)))
	case n < 91:
		return "second"
	case n < 93:
		return "alone"
	case n < 94:
		return "restart"
	case n < 97:
		return fmt.Sprintf("refuse verb=%s kind=%s how=%s in=%d times=%d", pick(r, "create", "update", "status", "get"), pick(r, "secrets", "secrets", "marketplaceaccounts"),
			pick(r, "conflict", "forbidden", "busy", "internal", "reset", "lost", "lost", "away"), r.IntN(4), 1+r.IntN(3))
	case n < 98:
		return fmt.Sprintf("refuse how=%s for=%s", pick(r, "away", "reset", "busy", "forbidden"), some(r, pick(r, time.Minute, 20*time.Minute)))
	case n < 99:
		return fmt.Sprintf("lag for=%s", some(r, time.Minute))
	}
	return "clock " + pick(r, "1h", "-1h", "5m", "-5m")
}

// text is a script as it is kept in testdata.
func text(script []step) string {
	var lines []string
	for _, s := range script {
		lines = append(lines, s.String())
	}
	return strings.Join(lines, "\n")
}

// shrink leaves out lines of a script as long as it breaks the same invariant.
func shrink(t *testing.T, seed uint64, script []step, broken string) []step {
	t.Helper()
	same := func(other []step) bool {
		return kindOfFinding(play(t, seed, other, false).Broken) == kindOfFinding(broken)
	}
	for size := len(script) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(script); {
			shorter := append(append([]step{}, script[:at]...), script[at+size:]...)
			if same(shorter) {
				script = shorter
				continue
			}
			at += size
		}
	}
	return script
}

// kindOfFinding is the part of a finding that is the same in every history: its first four words without names.
func kindOfFinding(broken string) string {
	var words []string
	for word := range strings.FieldsSeq(broken) {
		if len(word) > 2 && !strings.ContainsAny(word, "0123456789") {
			words = append(words, word)
		}
		if len(words) == 4 {
			break
		}
	}
	return strings.Join(words, " ")
}
