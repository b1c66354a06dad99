package statusreport

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
)

// newCalled makes a backlog that remembers the accounts that it called.
func newCalled(workers int) (a *Backlog, called *[]client.ObjectKey) {
	a, called = NewBacklog(workers), &[]client.ObjectKey{}
	a.OnRoom(func(account client.ObjectKey) { *called = append(*called, account) })
	return a, called
}

// writing does something while n writes are under way.
func writing(a *Backlog, n int, do func()) {
	if n == 0 {
		do()
		return
	}
	_ = a.Write(func() error {
		writing(a, n-1, do)
		return nil
	})
}

// waits tells whether a status has to wait.
func waits(a *Backlog, account int, what conditions.Urgency) bool {
	return !a.Postpone(accountNamed(account), what, time.Time{}).IsZero()
}

func accountNamed(i int) client.ObjectKey {
	return client.ObjectKey{Namespace: "shop", Name: fmt.Sprint("account-", i)}
}

func TestStatusesWaitWhileMuchIsWritten(t *testing.T) {
	const accounts = 10
	g := NewWithT(t)
	a, called := newCalled(256) // 32 may write before statuses wait, and 8 with those that waited
	g.Expect(waits(a, 0, conditions.TokenTimesOnly)).To(BeFalse(), "nobody writes")
	writing(a, 31, func() { g.Expect(waits(a, 0, conditions.TokenTimesOnly)).To(BeFalse(), "there is room") })
	writing(a, 32, func() {
		for i := range accounts {
			g.Expect(waits(a, i, conditions.TokenTimesOnly)).To(BeTrue(), "as many write as may")
			g.Expect(waits(a, i, conditions.TokenTimesOnly)).To(BeTrue(), "as many write as may")
		}
		g.Expect(*called).To(BeEmpty(), "there is no room yet")
	})
	g.Expect(*called).To(HaveLen(8), "and no more at once")
	writing(a, 3, func() {
		a.Looked((*called)[0])
		g.Expect(*called).To(HaveLen(8), "others write")
	})
	g.Expect(*called).To(HaveLen(9))
	for _, account := range *called {
		a.Looked(account)
	}
	g.Expect(*called).To(HaveLen(accounts))
	var want []client.ObjectKey
	for i := range accounts {
		want = append(want, accountNamed(i))
	}
	g.Expect(*called).To(ConsistOf(want), "each is called once")
}

func TestClosedLimitersAreReportedOneAfterTheOther(t *testing.T) {
	g := NewWithT(t)
	a, called := newCalled(256)
	g.Expect(waits(a, 0, conditions.LimiterClosedOnly)).To(BeFalse(), "nobody writes")
	writing(a, 2, func() {
		for i := range 3 {
			g.Expect(waits(a, i, conditions.LimiterClosedOnly)).To(BeTrue(), "others write")
		}
		g.Expect(waits(a, 3, conditions.TokenTimesOnly)).To(BeFalse(), "which is not much")
		g.Expect(waits(a, 3, conditions.Immediate)).To(BeFalse(), "and it is urgent")
	})
	for i := range 3 {
		g.Expect(*called).To(HaveLen(i + 1))
		a.Looked((*called)[i])
	}
	g.Expect(*called).To(ConsistOf(accountNamed(0), accountNamed(1), accountNamed(2)))
}

func TestWhoIsToldOtherwiseIsNotCalled(t *testing.T) {
	for name, end := range map[string]func(a *Backlog){
		"it is told": func(a *Backlog) { a.Postpone(accountNamed(0), conditions.Immediate, time.Time{}) },
		"it has waited for long": func(a *Backlog) {
			a.Postpone(accountNamed(0), conditions.LimiterClosedOnly, time.Time{}.Add(10*time.Second))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			a, called := newCalled(256)
			writing(a, 1, func() {
				g.Expect(waits(a, 0, conditions.LimiterClosedOnly)).To(BeTrue())
				end(a)
				g.Expect(waits(a, 1, conditions.LimiterClosedOnly)).To(BeTrue())
			})
			g.Expect(*called).To(ConsistOf(accountNamed(1)))
		})
	}
}

// TestNobodyWaitsForLongerThanHeMay: who is called in vain waits no longer than the others, and a look at the very end is not put off.
func TestNobodyWaitsForLongerThanHeMay(t *testing.T) {
	g := NewWithT(t)
	a, called := newCalled(256)
	since := time.Date(2026, 3, 2, 9, 0, 0, 7e8, time.UTC)
	end := since.Add(10 * time.Second)
	writing(a, 1, func() { g.Expect(a.Postpone(accountNamed(0), conditions.LimiterClosedOnly, since)).To(Equal(end)) })
	g.Expect(*called).To(HaveLen(1))
	writing(a, 1, func() {
		g.Expect(a.Postpone(accountNamed(0), conditions.LimiterClosedOnly, since.Add(9*time.Second))).To(Equal(end), "others have begun to write")
		a.Looked(accountNamed(0))
		g.Expect(a.Postpone(accountNamed(0), conditions.LimiterClosedOnly, end)).To(BeZero())
		a.Looked(accountNamed(0))
		g.Expect(a.Postpone(accountNamed(0), conditions.LimiterClosedOnly, end)).To(Equal(end.Add(10*time.Second)), "what comes then is something else")
	})
}

// TestNobodyWhoWaitsIsForgotten: whatever ends last, a write or a look, calls who has waited.
func TestNobodyWhoWaitsIsForgotten(t *testing.T) {
	for _, workers := range []int{1, 16, 256} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			g := NewWithT(t)
			a, called := newCalled(workers)
			for i := range 20 {
				what := []conditions.Urgency{conditions.TokenTimesOnly, conditions.LimiterClosedOnly}[i%2]
				writing(a, a.lines[what].limit, func() { g.Expect(waits(a, i, what)).To(BeTrue()) })
			}
			for i := 0; i < len(*called); i++ { // a call leads to a look, which may write or not
				writing(a, i%2, func() {})
				a.Looked((*called)[i])
			}
			g.Expect(*called).To(HaveLen(20))
		})
	}
}
