package accountmemory_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
)

func accounts(m *accountmemory.Memory[string]) (all []types.UID) {
	m.Each(func(account types.UID, _ string) bool {
		all = append(all, account)
		return true
	})
	slices.Sort(all)
	return all
}

func TestAnAccountIsForgottenInEveryMemory(t *testing.T) {
	var owner accountmemory.Owner
	first, second, ownerless := accountmemory.New[string](&owner), accountmemory.New[string](&owner), accountmemory.New[string](nil)
	var told []string
	owner.OnForget(func(account *v1alpha1.MarketplaceAccount) { told = append(told, account.Name) })
	for _, m := range []*accountmemory.Memory[string]{first, second, ownerless} {
		m.Set("uid-1", "known")
		m.Set("uid-2", "known")
	}
	owner.Forget(&v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", UID: "uid-1"}})
	for name, m := range map[string]*accountmemory.Memory[string]{"first": first, "second": second} {
		if got := accounts(m); !slices.Equal(got, []types.UID{"uid-2"}) {
			t.Errorf("%s: known are %v", name, got)
		}
	}
	if got := accounts(ownerless); len(got) != 2 {
		t.Errorf("without an owner, known are %v", got)
	}
	if !slices.Equal(told, []string{"main"}) {
		t.Errorf("told of %v", told)
	}
}

func TestToKnowNothingTakesNoRoom(t *testing.T) {
	m := accountmemory.New[string](nil)
	m.Change("uid-1", func(known *string) { *known += "a" })
	m.Change("uid-1", func(known *string) { *known += "b" })
	m.Change("uid-2", func(*string) {})
	if got := m.Of("uid-1"); got != "ab" {
		t.Errorf("known is %q", got)
	}
	if got := accounts(m); !slices.Equal(got, []types.UID{"uid-1"}) {
		t.Errorf("known are %v", got)
	}
	m.Set("uid-1", "")
	if got := accounts(m); len(got) > 0 {
		t.Errorf("known are %v", got)
	}
}

func TestEachEndsWhereItIsTold(t *testing.T) {
	m := accountmemory.New[string](nil)
	m.Set("uid-1", "a")
	m.Set("uid-2", "b")
	times := 0
	m.Each(func(types.UID, string) bool { times++; return false })
	if times != 1 {
		t.Errorf("it was called %d times", times)
	}
}
