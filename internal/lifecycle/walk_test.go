package lifecycle_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

var (
	walkSeed  = flag.Uint64("lifecycle.seed", 1, "seed of the random walk")
	walkSteps = flag.Int("lifecycle.steps", 100_000, "steps of the random walk; with -short a twentieth of them")
)

// TestARandomWalk takes accounts of each grant through all that may happen to them, in any order: answers of every kind, lost ones, crashes at
// each moment, people who sign in as themselves or as somebody else, edits, lost and restored grant Secrets, and time. After each step the promises
// of docs/faults.md hold that can be said of the machine alone; and where all goes well from then on, the account is Ready in the end: by itself where nothing
// has happened that only a person can mend.
func TestARandomWalk(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // which saves a quarter of the time
	random := rand.New(rand.NewPCG(*walkSeed, 0))
	steps, states, kinds, recalled := 0, map[string]int{}, map[string]int{}, 0
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
			before := w.stored
			kind, step := takeStep(w, random)
			if w.said = nil; !w.tampered {
				w.keepsGrant(before)
			}
			history = append(history, step)
			steps++
			kinds[kind]++
			states[w.condition(v1alpha1.ConditionAuthenticated)]++
			if w.broken != "" {
				t.Fatalf("-lifecycle.seed=%d, %s account at a platform that rotates: %t, with grace %s: %s\nafter %s", *walkSeed, grant, w.market.rotating, w.market.grace, w.broken, strings.Join(history, "\n      "))
			}
		}
		recalled += w.recalled
		if why := w.recovers(kinds); why != "" {
			t.Fatalf("-lifecycle.seed=%d, %s account at a platform that rotates: %t, with grace %s, in the end: %s\nafter %s", *walkSeed, grant, w.market.rotating, w.market.grace, why, strings.Join(history, "\n      "))
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
	var table strings.Builder
	for _, kind := range walk {
		fmt.Fprintf(&table, "\n%7d  %s", kinds[kind.name], kind.name)
		if kinds[kind.name] == 0 {
			t.Errorf("no step is: %s", kind.name)
		}
	}
	fmt.Fprintf(&table, "\n%7d  %s", kinds[byItself], byItself)
	if kinds[byItself] == 0 {
		t.Errorf("never: %s", byItself)
	}
	t.Logf("steps by their kind:%s", table.String())
}

// byItself counts the accounts that were Ready in the end without anybody's help, which had not been before.
const byItself = "an account recovers by itself in the end"

// walk is the steps that a world may take, with their weights. Each tells what it was, or nothing where it cannot happen to this world.
var walk = []struct {
	name   string
	weight int
	take   func(*world, *rand.Rand) string
}{
	{"time passes", 24, func(w *world, random *rand.Rand) string {
		wait := time.Duration(random.Int64N(int64([]time.Duration{time.Minute, time.Hour, 14 * time.Hour}[random.IntN(3)]))).Truncate(time.Second)
		w.now = w.now.Add(wait)
		return fmt.Sprintf("%s pass", wait)
	}},
	{"the next look is due", 8, func(w *world, _ *rand.Rand) string {
		if w.next.Sub(w.now) <= 0 {
			return ""
		}
		w.now = w.next
		return "time passes until the next look"
	}},
	{"a request fails", 20, func(w *world, random *rand.Rand) string {
		name := failureNames[random.IntN(len(failureNames))]
		w.market.next, w.market.acts = failures[name].failure, failures[name].acts
		return name + " is next"
	}},
	{"a person asks for a renewal", 8, func(w *world, random *rand.Rand) string {
		w.askToRenew(fmt.Sprint(random.Int64()))
		return "a person asks for a renewal"
	}},
	{"a person asks for a test", 4, func(w *world, random *rand.Rand) string {
		w.account.Annotations[v1alpha1.AnnotationVerify] = fmt.Sprint(random.Int64())
		return "a person asks for a test"
	}},
	{"a person asks for a sign-in", 2, func(w *world, random *rand.Rand) string {
		if !w.signsIn() {
			return ""
		}
		w.account.Annotations[v1alpha1.AnnotationSignIn] = fmt.Sprint(random.Int64())
		return "a person asks for a sign-in"
	}},
	{"a person signs in", 6, func(w *world, _ *rand.Rand) string {
		if w.account.Spec.Grant.Type != v1alpha1.GrantAuthorizationCode {
			return ""
		}
		w.signIn(w.market.seller)
		return "a person signs in"
	}},
	{"a person signs in as another seller", 2, func(w *world, _ *rand.Rand) string {
		if w.account.Spec.Grant.Type != v1alpha1.GrantAuthorizationCode {
			return ""
		}
		w.signIn("another")
		return "a person signs in as another seller"
	}},
	{"a person approves the device code", 6, func(w *world, _ *rand.Rand) string { return w.withCode(codeApproved) }},
	{"a person denies the device code", 2, func(w *world, _ *rand.Rand) string { return w.withCode(codeDenied) }},
	{"the marketplace ends the device code early", 2, func(w *world, _ *rand.Rand) string { return w.withCode(codeEnded) }},
	{"the device code expires", 4, func(w *world, _ *rand.Rand) string {
		code := w.stored.SignIn.Device
		if code == nil || !w.now.Before(code.ExpiresAt) {
			return ""
		}
		w.now = code.ExpiresAt
		return "time passes until the device code expires"
	}},
	{"the policy is edited", 4, func(w *world, random *rand.Rand) string {
		w.account.Spec.Renewal.Policy = []v1alpha1.RenewalPolicy{v1alpha1.RenewalAutomatic, v1alpha1.RenewalSuspended}[random.IntN(2)]
		return "the policy is " + string(w.account.Spec.Renewal.Policy)
	}},
	{"the grant Secret is deleted", 1, func(w *world, _ *rand.Rand) string {
		if w.knownSerial() == 0 { // nothing tells of the loss
			return ""
		}
		w.putBack()
		w.stored, w.given = custody.Custody{}, w.published // tokens that were not published yet are lost
		return "the grant Secret is deleted"
	}},
	{"a backup is made", 3, func(w *world, _ *rand.Rand) string {
		if w.stored.Serial < w.knownSerial() { // it would be a copy of the backup before
			return ""
		}
		w.backup = copied{w.stored, w.published, w.refused}
		return "a backup is made"
	}},
	{"an older grant Secret is restored", 2, func(w *world, _ *rand.Rand) string {
		if w.backup.custody.Serial == 0 || w.backup.custody.Serial >= w.knownSerial() { // nothing would tell, see docs/backup.md
			return ""
		}
		w.stored, w.refused, w.given = w.backup.custody, w.backup.refused, w.published // tokens that were not published yet are lost
		w.putBack()
		return "the grant Secret is restored from the backup"
	}},
	{"an account is restored with another UID", 1, func(w *world, random *rand.Rand) string {
		if w.backup.custody.Serial == 0 {
			return ""
		}
		w.account.UID, w.account.Status = types.UID(fmt.Sprintf("uid-%d", random.Int64())), v1alpha1.MarketplaceAccountStatus{}
		w.stored, w.published, w.given, w.refused, w.memory = w.backup.custody, w.backup.published, w.backup.published, w.backup.refused, memory{}
		if held := w.stored.Tokens; held != nil { // which may not have been published by then
			w.given = held.AccessToken
		}
		w.putBack()
		return "account and Secrets are restored from the backup, with another UID"
	}},
	{"a grant Secret comes from another cluster", 1, func(w *world, _ *rand.Rand) string {
		if w.stored.Serial == 0 {
			return ""
		}
		w.stored.Witness.Cluster = "cluster-2"
		w.putBack()
		if of := w.market.grants[w.stored.RefreshToken]; of != nil && w.market.honours(w.stored.RefreshToken) {
			w.market.next = nil
			if _, err := w.market.refresh(w.stored.RefreshToken, w.now); err != nil {
				panic(err)
			}
		}
		return "the grant Secret comes from another cluster, which has renewed"
	}},
	{betweenLooks, 0, nil},
	{whenJournaled, 5, func(w *world, random *rand.Rand) string { return w.crash(journaled, random) }},
	{whenAnswered, 5, func(w *world, random *rand.Rand) string { return w.crash(answered, random) }},
	{whenStored, 3, func(w *world, random *rand.Rand) string { return w.crash(stored, random) }},
}

// failureNames are the names of failures, in a fixed order, and weights the sum of the weights of walk.
var (
	failureNames = slices.Sorted(maps.Keys(failures))
	weights      = func() (sum int) {
		for _, kind := range walk {
			sum += kind.weight
		}
		return sum
	}()
)

// takeStep does one thing to a world, and looks at the account. It returns the kind of the step, and the step.
func takeStep(w *world, random *rand.Rand) (kind, step string) {
	w.tampered = false
	for step == "" {
		n := random.IntN(weights)
		for _, next := range walk {
			if n -= next.weight; n < 0 {
				kind, step = next.name, next.take(w, random)
				break
			}
		}
	}
	if w.crashed {
		w.crashed = false
		return step, step
	}
	w.look(func(moment) bool { return false })
	return kind, step
}

// The ends of a process. A step that finds no such moment in the look is an end between two looks.
const (
	betweenLooks  = "a process ends between two looks"
	whenJournaled = "a process ends when it has written the journal"
	whenAnswered  = "a process ends when it has the answer"
	whenStored    = "a process ends when it has stored the answer"
)

// crash has the process end at a moment of the next look, or after it. Half of the looks act on a request for a renewal, since most others have no such moment.
func (w *world) crash(end moment, random *rand.Rand) string {
	if random.IntN(2) == 0 {
		w.askToRenew(fmt.Sprint(random.Int64()))
	}
	ended := false
	w.look(func(at moment) bool {
		ended = ended || at == end
		return at == end
	})
	w.restart()
	w.crashed = true
	if !ended {
		return betweenLooks
	}
	return map[moment]string{journaled: whenJournaled, answered: whenAnswered, stored: whenStored}[end]
}

// withCode has a person or the marketplace decide on the device code that waits; nothing where none does.
func (w *world) withCode(state codeState) string {
	code := w.stored.SignIn.Device
	if code == nil || w.market.codes[code.Code] != "" || !w.now.Before(code.ExpiresAt) {
		return ""
	}
	w.market.codes[code.Code] = state
	return "the device code is " + string(state)
}

// knownSerial is the serial of the custody that the status tells of.
func (w *world) knownSerial() int64 {
	if seen := w.account.Status.AccessToken; seen != nil {
		return seen.Serial
	}
	return 0
}

func (w *world) signsIn() bool {
	grant := w.account.Spec.Grant.Type
	return grant == v1alpha1.GrantAuthorizationCode || grant == v1alpha1.GrantDeviceCode
}

// works tells that an account is Ready and renewable, and that the requests of people are handled.
func (w *world) works() bool {
	asked, handled := w.account.Annotations, w.handled()
	return w.condition(v1alpha1.ConditionReady) == "True TokenValid" && strings.HasPrefix(w.condition(v1alpha1.ConditionAuthenticated), "True") &&
		handled.Renew == asked[v1alpha1.AnnotationRenew] && handled.Verify == asked[v1alpha1.AnnotationVerify]
}

// isInOrder tells that an account works, and that nobody has signed in as another seller since the last tokens.
func (w *world) isInOrder() bool {
	return w.works() && w.condition(v1alpha1.ConditionAuthenticated) == "True TokenValid"
}

// needsNobody tells that nothing has happened to an account that only a person can mend: the marketplace honours its refresh token, or its login, and has
// not said otherwise since the last tokens.
func (w *world) needsNobody() bool {
	token := w.stored.RefreshToken
	switch {
	case w.refused, w.restored[token] && w.market.rotating:
		return false
	case !w.request.RenewsByRefreshToken():
		return true
	}
	return w.market.honours(token)
}

// recovers tells why an account is not in order although all goes well from now on; empty where it is. Where it needs nobody, it has to be by
// itself, at the looks that it wants; else people do what its conditions ask for.
func (w *world) recovers(kinds map[string]int) string {
	w.market.next, w.account.Spec.Renewal.Policy = nil, v1alpha1.RenewalAutomatic
	worked := w.works()
	w.look(func(moment) bool { return false })
	if !worked && w.needsNobody() {
		kinds[byItself]++
		for end := w.now.Add(26 * time.Hour); w.broken == "" && !w.works(); w.look(func(moment) bool { return false }) { // a login in doubt waits for a day
			if w.next.IsZero() || w.next.After(end) {
				return fmt.Sprintf("promise 1: nobody is needed, and the next look is at %s: %s", w.next, w.told())
			}
			w.now = w.next
		}
	}
	for range 60 {
		switch {
		case w.broken != "":
			return w.broken
		case w.isInOrder():
			return ""
		}
		w.help()
		w.look(func(moment) bool { return false })
	}
	return "promise 1: " + w.told()
}

// help is a person who does what the conditions ask for, half a day later.
func (w *world) help() {
	w.now = w.now.Add(13 * time.Hour)
	w.askToRenew(fmt.Sprint(w.now))
	switch w.account.Spec.Grant.Type {
	case v1alpha1.GrantAuthorizationCode:
		if w.condition(v1alpha1.ConditionReauthRequired) != "False NotRequired" || strings.HasSuffix(w.condition(v1alpha1.ConditionAuthenticated), v1alpha1.ReasonAccountMismatch) {
			w.signIn(w.market.seller)
		}
	case v1alpha1.GrantDeviceCode:
		if signIn := w.stored.SignIn; signIn.Refused != nil || signIn.Unattended >= facts.MaxUnattended { // else a code comes by itself
			w.account.Annotations[v1alpha1.AnnotationSignIn] = fmt.Sprint(w.now)
		}
		w.look(func(moment) bool { return false })
		if w.stored.SignIn.Device != nil {
			w.approve()
			w.now = w.now.Add(pollEvery)
		}
	case v1alpha1.GrantRefreshToken:
		w.supply(func() { w.request.Imported.RefreshToken = w.market.grant(w.market.seller) })
	case v1alpha1.GrantPassword:
		w.supply(func() { w.request.Login.Retry = fmt.Sprint(w.now) })
	}
}

// told are the conditions of an account and the requests that were handled, in a line.
func (w *world) told() string {
	return fmt.Sprintf("Ready is %s, Authenticated %s, ReauthRequired %s; of the requests %v handled are %+v", w.condition(v1alpha1.ConditionReady),
		w.condition(v1alpha1.ConditionAuthenticated), w.condition(v1alpha1.ConditionReauthRequired), w.account.Annotations, w.handled())
}

// handled are the requests of people that the status says were acted on.
func (w *world) handled() v1alpha1.HandledStatus {
	if handled := w.account.Status.Handled; handled != nil {
		return *handled
	}
	return v1alpha1.HandledStatus{}
}
