package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// nextTale draws steps that lead where single ones seldom do.
func nextTale(r *rand.Rand, a, seller string, life time.Duration, tells bool) []string {
	signIn := fmt.Sprintf("sign-in %s as=%s after=%s", a, seller, some(r, time.Minute))
	disturb := pick(r, "pass 1s", "answer m0 "+pick(r, faultNames...), fmt.Sprintf("crash in=%d back=%s", r.IntN(8), some(r, time.Minute)), "clock -5m", "clock 1h", "touch app")
	tale := [][]string{
		{"endtoken " + a, "ask " + a + " verify", "outage m0 page503 for=5m", "pass 2m", disturb, "ask " + a + " verify", "pass 10m"},
		{"endtoken " + a, "answer m0 page503", "ask " + a + " verify", "pass 30s"},
		{"keys m0 for=" + some(r, 2*life).String() + pick(r, "", " alone"), "restart", "ask " + a + " sign-in", "pass 1s", signIn, disturb, fmt.Sprintf("pass %s", some(r, 2*life))},
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
		[]string{"answer m0 " + pick(r, faultNames...), "ask " + a + " renew", "pass 1m", disturb, "ask " + a + " " + pick(r, "renew", "verify"), back},
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
func taleOf(r *rand.Rand, a, seller string, grant v1alpha1.GrantType, life time.Duration) []string {
	back := fmt.Sprintf("pass %s", some(r, pick(r, time.Minute, life)))
	signIn := fmt.Sprintf("sign-in %s as=%s after=10s", a, seller)
	approve := fmt.Sprintf("approve %s as=%s", a, seller)
	renew := "ask " + a + " renew"
	tales := map[v1alpha1.GrantType][][]string{
		v1alpha1.GrantAuthorizationCode: {
			{"keys m0 alone for=" + some(r, life).String(), "restart", "ask " + a + " sign-in", "pass 1s", signIn, back},
			{"identity m0 for=" + some(r, life).String(), "ask " + a + " sign-in", "pass 1s", signIn, back},
			{"ask " + a + " sign-in", "pass 1s", fmt.Sprintf("deny %s after=%s", a, some(r, time.Minute)), back},
			{"answer m0 " + pick(r, faultNames...), "ask " + a + " sign-in", "pass 1s", signIn, back},
		},
		v1alpha1.GrantDeviceCode: {
			{"ask " + a + " sign-in", "pass 70s", approve, "refuse verb=update kind=secrets how=" + pick(r, "away", "forbidden") + " for=3m", "pass 5m"},
			{"ask " + a + " sign-in", "pass 5s", "decline " + a, "pass 2m", back},
			{"ask " + a + " sign-in", "answer m0 " + pick(r, faultNames...), approve, "pass 3m"},
			{"ask " + a + " sign-in", "pass 20m", approve, "pass 2m"},
		},
		v1alpha1.GrantPassword: {
			{pick(r, "password wrong", "answer m0 locked"), renew, "pass 1m", back, "password right"},
			{"answer m0 " + pick(r, "firewall", "empty403", "locked"), renew, "pass 2m", back},
			{"answer m0 empty403", "answer m0 empty403", "answer m0 empty403", renew, "pass 12m", "clock -70s", "touch app", back}, // the last attempt is a minute ago
			{"answer m0 empty403", "recreate " + a, "pass 10s", "clock -1h", back},
		},
		v1alpha1.GrantClientCredentials: {
			{"application wrong", renew, back, "application right", back},
			{"answer m0 " + pick(r, "application", "scope", "request", "refused"), renew, "pass 1m", renew, back},
		},
		v1alpha1.GrantRefreshToken: {
			{"answer m0 " + pick(r, "lost", "lostidle"), "recreate " + a, "pass 30s", "clock " + pick(r, "-1h", "-20h"), back},
			{"answer m0 " + pick(r, "lost", "lostidle", "lostidle"), renew, "pass 1m", "clock " + pick(r, "-1h", "-20h"), back},
			{"answer m0 " + pick(r, "refused", "scope", "request"), "import " + a, back, "import " + a, "pass 1m"},
		},
	}
	return pick(r, tales[grant]...)
}
