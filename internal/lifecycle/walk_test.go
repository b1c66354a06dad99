package lifecycle_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

var (
	walkSeed  = flag.Uint64("lifecycle.seed", 1, "seed of the random walk")
	walkSteps = flag.Int("lifecycle.steps", 100_000, "steps of the random walk; with -short a twentieth of them")
)

// TestARandomWalk takes accounts of each grant through what may happen to them, in any order: answers of every kind, lost ones, crashes at
// each moment, people who sign in as themselves or as somebody else, edits, lost grant Secrets and time. After each step the invariants of
// docs/faults.md hold; and where all goes well from then on, the account is Ready in the end.
func TestARandomWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(*walkSeed, 0))
	steps, states, recalled := 0, map[string]int{}, 0
	end := *walkSteps
	if testing.Short() { // as make mutate runs it, hundreds of times
		end /= 20
	}
	for steps < end {
		grant := []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword, v1alpha1.GrantClientCredentials}[random.IntN(5)]
		w := newWorld(grant, random.IntN(3) > 0, []time.Duration{0, time.Minute, time.Hour}[random.IntN(3)])
		if grant == v1alpha1.GrantAuthorizationCode { // else whoever signs in first is the expected seller
			w.account.Spec.AccountID = w.market.seller
		}
		var history []string
		for range 40 {
			history = append(history, takeStep(w, random))
			steps++
			states[w.condition(v1alpha1.ConditionAuthenticated)]++
			if w.broken != "" {
				t.Fatalf("-lifecycle.seed=%d, %s account at a platform with grace %s: %s\nafter %v", *walkSeed, grant, w.market.grace, w.broken, history)
			}
		}
		recalled += w.recalled
		if why := w.recovers(); why != "" {
			t.Fatalf("-lifecycle.seed=%d, %s account at a platform with grace %s, in the end: %s\nafter %v", *walkSeed, grant, w.market.grace, why, history)
		}
	}
	t.Logf("%d steps, which ended as %v; at %d looks the Secrets of users could be recalled", steps, states, recalled)
	if recalled < steps/20 {
		t.Errorf("at %d looks the Secrets of users could be recalled", recalled)
	}
	for _, reason := range []string{"True TokenValid", "False GrantRejected", "Unknown RenewalOutcomeUnknown", "Unknown MarketplaceUnavailable", "False SignInRequired"} {
		if states[reason] == 0 {
			t.Errorf("no step ended as %s", reason)
		}
	}
}

// takeStep does one thing to a world, and looks at the account.
func takeStep(w *world, random *rand.Rand) string {
	never := func(moment) bool { return false }
	var step string
	switch n := random.IntN(20); {
	case n < 6:
		wait := time.Duration(random.Int64N(int64([]time.Duration{time.Minute, time.Hour, 14 * time.Hour}[random.IntN(3)])))
		w.now = w.now.Add(wait.Truncate(time.Second))
		step = fmt.Sprintf("%s pass", wait.Truncate(time.Second))
	case n < 11:
		names := slices.Sorted(maps.Keys(failures))
		name := names[random.IntN(len(names))]
		w.market.next, w.market.acts = failures[name].failure, failures[name].acts
		step = name + " is next"
	case n < 13:
		w.account.Annotations[v1alpha1.AnnotationRenew] = fmt.Sprint(random.Int64())
		step = "somebody asks for a renewal"
	case n < 14:
		w.account.Annotations[v1alpha1.AnnotationVerify] = fmt.Sprint(random.Int64())
		step = "somebody asks for a test"
	case n < 16 && w.account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode:
		seller := []string{w.market.seller, w.market.seller, "another"}[random.IntN(3)]
		w.signIn(seller)
		step = "a person signs in as " + seller
	case n < 17:
		w.account.Spec.Renewal.Policy = []v1alpha1.RenewalPolicy{v1alpha1.RenewalAutomatic, v1alpha1.RenewalSuspended}[random.IntN(2)]
		step = "the policy is " + string(w.account.Spec.Renewal.Policy)
	case n < 18 && random.IntN(4) == 0 && w.account.Status.AccessToken != nil && w.account.Status.AccessToken.Serial > 0: // else nothing tells of the loss
		w.stored = custody.Custody{}
		step = "the grant Secret is deleted"
	default:
		end := []moment{journaled, answered, stored}[random.IntN(3)]
		w.look(func(at moment) bool { return at == end })
		w.restarts++
		w.holder = fmt.Sprintf("process-%d", w.restarts+1)
		return "a process ends when it has " + string(end)
	}
	w.look(never)
	w.said = nil
	return step
}

// recovers tells why an account is not Ready although all goes well from now on, and people do what its conditions ask for; empty where it is.
func (w *world) recovers() string {
	w.market.next, w.account.Spec.Renewal.Policy = nil, v1alpha1.RenewalAutomatic
	for range 60 {
		w.look(func(moment) bool { return false })
		switch {
		case w.broken != "":
			return w.broken
		case w.condition(v1alpha1.ConditionReady) == "True TokenValid" && w.condition(v1alpha1.ConditionAuthenticated) == "True TokenValid":
			return ""
		}
		w.now = w.now.Add(13 * time.Hour)
		w.account.Annotations[v1alpha1.AnnotationRenew] = fmt.Sprint(w.now)
		switch w.account.Spec.Grant.Type {
		case v1alpha1.GrantAuthorizationCode:
			if w.condition(v1alpha1.ConditionReauthRequired) != "False NotRequired" {
				w.signIn(w.market.seller)
			}
		case v1alpha1.GrantDeviceCode:
			if w.stored.SignIn.Device != nil {
				w.approve()
			}
		case v1alpha1.GrantRefreshToken:
			w.supply(func() { w.request.Imported.RefreshToken = w.market.grant(w.now) })
		case v1alpha1.GrantPassword:
			w.supply(func() { w.request.Login.Retry = fmt.Sprint(w.now) })
		}
	}
	return fmt.Sprintf("Ready is %s, Authenticated %s, ReauthRequired %s", w.condition(v1alpha1.ConditionReady), w.condition(v1alpha1.ConditionAuthenticated), w.condition(v1alpha1.ConditionReauthRequired))
}
