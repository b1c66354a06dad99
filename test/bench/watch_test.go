package main

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// story tells a watcher of one account, by seconds after noon.
type story struct{ *watcher }

func (s story) event() (e watchEvent) {
	e.Type = "MODIFIED"
	e.Object.Metadata.Namespace, e.Object.Metadata.Name = "bench", "account-00000"
	return e
}

func (s story) account(at, expires, renews int) {
	e := s.event()
	e.Object.Status.AccessToken.ExpirationTime, e.Object.Status.AccessToken.RenewalTime = second(expires), second(renews)
	e.Object.Status.Conditions = append(e.Object.Status.Conditions, struct {
		Type   string                 `json:"type"`
		Status metav1.ConditionStatus `json:"status"`
	}{v1alpha1.ConditionReady, metav1.ConditionTrue})
	s.takeAccount(e, second(at))
}

func (s story) secret(at, expires int) {
	e := s.event()
	e.Object.Metadata.Name += "-token"
	e.Object.Data.ExpiresAt = []byte(second(expires).Format(time.RFC3339))
	s.takeSecret(e, second(at))
}

func second(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

func TestWatcherComparesEachRenewalWithItsPlan(t *testing.T) {
	s := story{&watcher{accounts: map[string]*seen{}}}
	s.creating(&v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "bench", Name: "account-00000"}}, second(0))
	s.secret(1, 91)
	s.account(2, 91, 50)
	s.account(3, 91, 50) // a label is edited
	// The second renewal's status is seen before its Secret, as two watches allow.
	s.account(51, 141, 100)
	s.secret(52, 141)
	s.secret(53, 141) // a label is edited
	s.secret(145, 235)
	s.account(146, 235, 190)
	s.account(147, 235, 190) // a label is edited

	if f, done := s.filled(batch{namespace: "bench", prefix: "account", size: 1}); !done || f.all != 2*time.Second {
		t.Errorf("filled says %v, %v; want 2s, true", f.all, done)
	}
	renewals := s.between("bench/", second(0), second(200))
	if len(renewals) != 2 {
		t.Fatalf("there are %d renewals, want 2", len(renewals))
	}
	for i, want := range []struct {
		late    time.Duration
		expired bool
	}{{2 * time.Second, false}, {45 * time.Second, true}} {
		if r := renewals[i]; r.lateness() != want.late || r.expired != want.expired || r.round != i+1 {
			t.Errorf("renewal %d is %+v, want %+v", i+1, r, want)
		}
	}
	if late, expired := s.overdue("bench/", second(0), second(200), second(240)); len(late) != 1 || late[0] != 50*time.Second || expired != 1 {
		t.Errorf("overdue are %v, of which %d expired; want one by 50s, expired", late, expired)
	}
}

func TestWatcherSeesStatusesThatStayBehind(t *testing.T) {
	s := story{&watcher{accounts: map[string]*seen{}}}
	s.secret(1, 91)
	s.account(3, 91, 50)
	s.account(51, 141, 100) // before its Secret, as two watches allow
	s.secret(52, 141)
	s.secret(101, 191) // no status tells of this one
	s.secret(151, 241)
	s.account(160, 241, 200)
	s.account(170, 241, 200) // a label is edited
	s.secret(201, 291)
	after, untold := s.toldSince("bench/", second(0), second(208))
	if want := []time.Duration{7 * time.Second, 2 * time.Second, 0, 9 * time.Second}; !slices.Equal(after, want) || untold != 1 {
		t.Errorf("statuses came after %v, and %d tokens were untold; want %v and 1", after, untold, want)
	}
	if renewals := s.between("bench/", second(0), second(201)); len(renewals) != 3 {
		t.Errorf("there are %d renewals with a plan, want 3", len(renewals))
	}
	if after, untold := s.toldSince("bench/", second(155), second(208)); len(after) != 2 || untold != 0 {
		t.Errorf("later there are %d statuses and %d tokens untold, want 2 and none", len(after), untold)
	}
}
