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

// generate makes the script of a seed.
func generate(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	var script []step
	add := func(format string, args ...any) { script = append(script, parseStep(fmt.Sprintf(format, args...))) }
	rotation := pick(r, "", "rotating strict", "rotating strict", "rotating grace=60s", "rotating grace=1h")
	life := pick(r, 12*time.Hour, 12*time.Hour, time.Hour, 10*time.Minute)
	consent := pick(r, "", "", "", "consent=2160h sliding", "consent=720h", "consent=48h")
	add("market m0 %s life=%s %s tells=%s", rotation, life, consent, pick(r, "answer", "request", "idtoken", "nothing"))
	tells := script[0].value("tells") != "nothing"
	count := 1 + r.IntN(3)
	of := map[string]v1alpha1.GrantType{}
	for i := range count {
		grant, expects := pick(r, grants...), ""
		if tells && grant != v1alpha1.GrantClientCredentials && r.IntN(2) == 0 {
			expects = fmt.Sprintf("expects=seller-%d", i+1)
			if grant == v1alpha1.GrantPassword {
				expects = "expects=seller-1"
			}
		}
		of[fmt.Sprintf("a%d", i+1)] = grant
		add("account a%d market=m0 grant=%s seller=seller-%d %s %s", i+1, grant, i+1, expects, pick(r, "", "revoke"))
	}
	for range 10 + r.IntN(40) {
		if r.IntN(8) == 0 {
			a := fmt.Sprintf("a%d", 1+r.IntN(count))
			lines := nextTale(r, a, life, tells)
			if r.IntN(3) == 0 {
				lines = taleOf(r, a, of[a], life)
			}
			for _, line := range lines {
				add("%s", line)
			}
			continue
		}
		add("%s", nextStep(r, fmt.Sprintf("a%d", 1+r.IntN(count)), life, tells))
	}
	return script
}

func some(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most))).Truncate(time.Second) + time.Second
}

// nextTale draws steps that lead where single ones seldom do.
func nextTale(r *rand.Rand, a string, life time.Duration, tells bool) []string {
	seller := "seller-" + strings.TrimPrefix(a, "a")
	signIn := fmt.Sprintf("sign-in %s as=%s after=%s", a, seller, some(r, time.Minute))
	disturb := pick(r, "pass 1s", "answer m0 "+pick(r, faultNames...), fmt.Sprintf("crash in=%d back=%s", r.IntN(8), some(r, time.Minute)), "clock -5m", "clock 1h", "touch app")
	tale := [][]string{
		{"endtoken " + a, "ask " + a + " verify", "outage m0 page503 for=5m", "pass 2m", disturb, "ask " + a + " verify", "pass 10m"},
		{"endtoken " + a, "answer m0 page503", "ask " + a + " verify", "pass 30s"},
		{"keys m0 for=" + some(r, 2*life).String(), "restart", "ask " + a + " sign-in", "pass 1s", signIn, disturb, fmt.Sprintf("pass %s", some(r, 2*life))},
		{"identity m0 for=" + some(r, 2*life).String(), "ask " + a + " sign-in", "import " + a, "pass 10s", signIn, disturb, fmt.Sprintf("pass %s", some(r, 2*life))},
		{"ask " + a + " sign-in", "pass 5s", disturb, signIn, fmt.Sprintf("approve %s as=%s", a, seller), "pass 2m"},
		{"ask " + a + " sign-in", "pass 70s", fmt.Sprintf("approve %s as=%s", a, seller), "refuse verb=update kind=secrets how=" + pick(r, "away", "forbidden") + " for=3m", "pass 5m"},
		{"ask " + a + " sign-in", "pass 5s", "decline " + a, fmt.Sprintf("deny %s after=%s", a, some(r, 20*time.Minute)), "pass 20m"},
		{"answer m0 lost", "ask " + a + " renew", "pass 2m", disturb, "ask " + a + " " + pick(r, "sign-in", "verify"), "pass 10s", signIn, fmt.Sprintf("pass %s", some(r, life))},
		{"answer m0 lost", "ask " + a + " renew", "pass 2m", "clock -1h", "pass 5m", "clock 1h"},
		{"application wrong", "ask " + a + " renew", "pass 1m", "ask " + a + " sign-in", "pass 1m", "application right", disturb, "pass 1h"},
		{"refuse verb=update kind=secrets how=forbidden for=" + some(r, 5*time.Minute).String(), "ask " + a + " renew", "pass 1m", disturb, signIn},
		{"keep", "ask " + a + " renew", "pass 1m", pick(r, "putback ", "restore ") + a, "pass 1m", disturb, "ask " + a + " " + pick(r, "renew", "verify", "sign-in"), "pass 5s", signIn, "pass 1m"},
	}
	back := fmt.Sprintf("pass %s", some(r, pick(r, time.Minute, life)))
	tale = append(tale,
		[]string{"marketplace m0 gone", back, disturb, "ask " + a + " renew", "marketplace m0 back"},
		[]string{"secret " + pick(r, "app", "login", a+"-import") + " " + pick(r, "gone", "empty"), back, disturb, "ask " + a + " renew", "pass 1m", "application right", "password right", "import " + a},
		[]string{"portal off", "pass 1m", "ask " + a + " sign-in", back, disturb, "portal on"},
		[]string{"scopes m0 fewer", "ask " + a + " renew", back, "scopes m0 all"},
		[]string{"skew m0 " + pick(r, "1m", "-10m"), "ask " + a + " renew", "pass 1m", "ask " + a + " renew", "pass 1m", "ask " + a + " renew", back, "skew m0 0s"},
		[]string{"rename " + a + " " + a + pick(r, "x", "y"), back, disturb, "import " + a},
		[]string{"refer " + a + " " + pick(r, "app", "marketplace"), back, disturb},
		[]string{"clientsecret m0 both", "application second", back, disturb, "clientsecret m0 " + pick(r, "first", "second"), back},
		[]string{"application second", "ask " + a + " renew", back, disturb},
		[]string{"recreate " + a, "pass 10m"},
		[]string{"answer m0 request", "ask " + a + " renew", "pass 1m", disturb, "ask " + a + " renew", back},
		[]string{"answer m0 locked", "ask " + a + " renew", "pass 1m", disturb, "ask " + a + " renew", back},
	)
	if !tells {
		tale = append(tale, []string{fmt.Sprintf("expect %s %s", a, seller), back, fmt.Sprintf("expect %s nobody", a)})
	}
	if tells {
		tale = append(tale,
			[]string{"answer m0 otherseller", "ask " + a + " renew", "pass 1m", disturb, "ask " + a + " " + pick(r, "sign-in", "verify"), "pass 5s", signIn, "pass 1m", fmt.Sprintf("expect %s seller-8", a)},
			[]string{"answer m0 otherseller", "ask " + a + " renew", "pass 1m", disturb, fmt.Sprintf("expect %s seller-8", a), "pass 1m"},
			[]string{"import " + a + " as=seller-9", "pass 1m", disturb, fmt.Sprintf("expect %s %s", a, pick(r, "seller-9", seller)), "pass 1m"},
		)
	}
	return tale[r.IntN(len(tale))]
}

// taleOf draws steps that concern accounts of a grant.
func taleOf(r *rand.Rand, a string, grant v1alpha1.GrantType, life time.Duration) []string {
	seller := "seller-" + strings.TrimPrefix(a, "a")
	back := fmt.Sprintf("pass %s", some(r, pick(r, time.Minute, life)))
	switch grant {
	case v1alpha1.GrantAuthorizationCode:
		return []string{"keys m0 for=" + some(r, life).String(), "restart", "ask " + a + " sign-in", "pass 1s", fmt.Sprintf("sign-in %s as=%s after=10s", a, seller), back}
	case v1alpha1.GrantDeviceCode:
		return []string{
			"ask " + a + " sign-in", "pass 70s", fmt.Sprintf("approve %s as=%s", a, seller),
			"refuse verb=update kind=secrets how=" + pick(r, "away", "forbidden") + " for=3m", "pass 5m",
		}
	case v1alpha1.GrantPassword:
		return []string{pick(r, "password wrong", "answer m0 locked"), "ask " + a + " renew", "pass 1m", back, "password right"}
	case v1alpha1.GrantClientCredentials:
		return []string{"application wrong", "ask " + a + " renew", back, "application right", back}
	}
	return []string{"answer m0 " + pick(r, "lost", "lostidle"), "recreate " + a, "pass 30s", "clock " + pick(r, "-1h", "-20h"), back}
}

// nextStep draws a step.
func nextStep(r *rand.Rand, a string, life time.Duration, tells bool) string {
	seller := "seller-" + strings.TrimPrefix(a, "a")
	after := pick(r, "", " after")
	switch n := r.IntN(100); {
	case n < 24:
		return fmt.Sprintf("pass %s", some(r, pick(r, time.Minute, 10*time.Minute, life, 3*life)))
	case n < 36:
		return "answer m0 " + pick(r, faultNames...)
	case n < 40:
		return fmt.Sprintf("outage m0 %s for=%s", pick(r, "page503", "page503", "lost", "unreachable", "hang", "throttled", "proxy503", "page502idle"), some(r, pick(r, time.Minute, time.Hour)))
	case n < 42:
		return fmt.Sprintf("%s m0 for=%s", pick(r, "identity", "keys"), some(r, pick(r, time.Minute, 20*time.Minute, life)))
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

// kindOfFinding is a finding without what differs from one history to another: its first four words without names.
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
