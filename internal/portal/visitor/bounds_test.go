package visitor

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC)

// named is a visitor with one of a user's tokens.
func named(user string, token int) *Visitor {
	who := &Visitor{user: authenticationv1.UserInfo{Username: user}}
	binary.BigEndian.PutUint64(who.key[:], uint64(token))
	return who
}

// scattered are accounts in as many namespaces.
func scattered(count int) []types.NamespacedName {
	var accounts []types.NamespacedName
	for i := range count {
		accounts = append(accounts, types.NamespacedName{Namespace: fmt.Sprintf("shop-%04d", i), Name: "main"})
	}
	return accounts
}

func TestMemoriesAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	p := New(Options{Kube: &judge{answer: denied}, Clock: clock})
	for i := range maxAnswers + 100 {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], uint32(i))
		p.tokens.fail(netip.PrefixFrom(netip.AddrFrom4(address), 32))
		p.subjects.fail(fmt.Sprint("system:serviceaccount:shop:", i))
		who := named(fmt.Sprint("user-", i), i)
		p.reviews.put(who.key, &reviewed{})
		if _, err := p.access.mightBefore(t.Context(), who, verbList, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	for memory, held := range map[string][2]int{
		"addresses": {len(p.tokens.sources.entries), maxAddresses},
		"subjects":  {len(p.subjects.sources.entries), maxSubjects},
		"reviews":   {len(p.reviews.good.entries), maxReviews},
		"answers":   {len(p.access.answers.entries), maxAnswers},
		"visitors":  {len(p.access.visitors.entries), maxVisitors},
	} {
		if held[0] != held[1] {
			t.Errorf("%s: it holds %d, want %d", memory, held[0], held[1])
		}
	}
}

func TestOnePageAsksOfABoundedNumberOfNamespaces(t *testing.T) {
	asked := &judge{answer: denied}
	access := newAccess(asked, clocktesting.NewFakePassiveClock(noon))
	may, more, err := access.which(t.Context(), named("system:serviceaccount:shop:pod", 1), toSee, scattered(5000))
	if err != nil || !more || len(may) != 0 {
		t.Errorf("%d are shown, more: %t, %v", len(may), more, err)
	}
	if got, want := len(asked.asked), 1+maxNamespaces+maxSingle; got != want {
		t.Errorf("%d questions are asked, want %d", got, want)
	}
}

func TestTheNamespacesThatMatterAreAskedFirst(t *testing.T) {
	asked := &judge{answer: denied}
	who := named("system:serviceaccount:shop-4999:pod", 1)
	who.Near = "shop-4000"
	if _, _, err := newAccess(asked, clocktesting.NewFakePassiveClock(noon)).which(t.Context(), who, toSee, scattered(5000)); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(asked.asked, "|") + "|"
	for _, question := range []string{"list shop-4999/", "list shop-4000/", "list shop-0000/", "get shop-0000/main"} {
		if !strings.Contains(said, question+"|") {
			t.Errorf("nobody asks for %s", question)
		}
	}
}

func TestQuestionsOfOneUserAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	asked := &judge{answer: denied}
	access := newAccess(asked, clock)
	greedy := func() (asked int) {
		for token := range 2 * maxAsked { // each with a token of its own, so that nothing was answered before
			if _, err := access.mightBefore(t.Context(), named("system:serviceaccount:shop:pod", token), verbList, fmt.Sprint("n-", token), ""); err == nil {
				asked++
			} else if !isBusy(err) {
				t.Fatal(err)
			}
		}
		return asked
	}
	if got := greedy(); got != maxAsked {
		t.Errorf("%d questions are asked at once, want %d", got, maxAsked)
	}
	if _, err := access.mightBefore(t.Context(), named("somebody-else", 0), verbList, "", ""); err != nil {
		t.Errorf("another user gets %v", err)
	}
	if allowed, err := access.may(t.Context(), named("system:serviceaccount:shop:pod", 0), types.NamespacedName{Namespace: "shop", Name: "main"}); allowed || err != nil {
		t.Errorf("a button gets %t, %v", allowed, err)
	}
	clock.SetTime(noon.Add(answerLife + time.Second)) // what was answered is forgotten
	if got, want := greedy(), int((answerLife+time.Second)/askedEach); got != want {
		t.Errorf("six seconds later %d questions are asked, want %d", got, want)
	}
}

// TestPressesOfOneUserAreBounded since each has the API server asked twice, and may write a grant Secret.
func TestPressesOfOneUserAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	access := newAccess(&judge{answer: denied}, clock)
	press := func(user string) (pressed int) {
		for token := range 3 * maxPressed {
			if _, err := access.may(t.Context(), named(user, token), types.NamespacedName{Namespace: "shop", Name: "main"}); err == nil {
				pressed++
			} else if !isBusy(err) {
				t.Fatal(err)
			}
		}
		return pressed
	}
	if got := press("somebody"); got != maxPressed {
		t.Errorf("%d presses are looked at, want %d", got, maxPressed)
	}
	if got := press("somebody-else"); got != maxPressed {
		t.Errorf("of another user %d presses are looked at, want %d", got, maxPressed)
	}
	clock.SetTime(noon.Add(3 * pressedEach))
	if got := press("somebody"); got != 3 {
		t.Errorf("three seconds later %d presses are looked at, want 3", got)
	}
}

// TestPagesThatWaitForSlowReadersAreBounded by their number for one visitor, and by their size for all.
func TestPagesThatWaitForSlowReadersAreBounded(t *testing.T) {
	c := New(Options{Kube: &judge{answer: denied}, Clock: clocktesting.NewFakePassiveClock(noon)})
	const page = maxUnreadBytes / 10
	var sent []func()
	send := func(user string) error {
		done, err := c.Send(named(user, len(sent)), page)
		if err == nil {
			sent = append(sent, done)
		}
		return err
	}
	for range maxUnread {
		if err := send("slow"); err != nil {
			t.Fatal(err)
		}
	}
	if err := send("slow"); !isBusy(err) {
		t.Errorf("a page more of a slow visitor gets %v", err)
	}
	for i := len(sent); i < 10; i++ {
		if err := send(fmt.Sprint("visitor ", i)); err != nil {
			t.Errorf("page %d gets %v", i, err)
		}
	}
	if err := send("late"); !isBusy(err) {
		t.Errorf("a page more of all gets %v", err)
	}
	for _, done := range sent {
		done()
	}
	for range maxUnread {
		if err := send("late"); err != nil {
			t.Errorf("once all were read, a page gets %v", err)
		}
	}
}

func TestAVisitorMakesOnePageAtATime(t *testing.T) {
	p := New(Options{Kube: &judge{answer: denied}, Clock: clocktesting.NewFakePassiveClock(noon)})
	who := named("somebody", 1)
	p.access.of(who).pages.patience = time.Millisecond
	leave, err := p.Enter(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Enter(t.Context(), named("somebody", 2)); !isBusy(err) {
		t.Errorf("a second page, with another token, gets %v", err)
	}
	if len(p.lists.places) != 1 {
		t.Errorf("one visitor takes %d places", len(p.lists.places))
	}
	other, err := p.Enter(t.Context(), named("somebody-else", 1))
	if err != nil {
		t.Errorf("another visitor gets %v", err)
	} else {
		other()
	}
	leave()
	leave() // as often as they like
	if again, err := p.Enter(t.Context(), who); err != nil {
		t.Error(err)
	} else {
		again()
	}
	if len(p.lists.places) != 0 {
		t.Errorf("%d places are taken for ever", len(p.lists.places))
	}
}
