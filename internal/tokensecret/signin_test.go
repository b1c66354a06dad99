package tokensecret_test

import (
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

func TestWaitingIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var signIn tokensecret.SignIn
	for i := range 100 {
		signIn.AddTicket(tokensecret.Ticket{Hash: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
		signIn.AddVisit(tokensecret.Visit{State: strconv.Itoa(i), ExpiresAt: now.Add(time.Hour)}, now)
	}
	if n := len(signIn.Tickets); n > 20 || signIn.Tickets[n-1].Hash != "99" {
		t.Errorf("%d tickets are kept, the last is %s", n, signIn.Tickets[n-1].Hash)
	}
	if n := len(signIn.Visits); n > 20 || signIn.Visits[n-1].State != "99" {
		t.Errorf("%d visits are kept, the last is %s", n, signIn.Visits[n-1].State)
	}

	// What has ended is remembered for a while, and then forgotten.
	later := now.Add(26 * time.Hour)
	signIn.AddTicket(tokensecret.Ticket{Hash: "new", ExpiresAt: later.Add(time.Hour)}, later)
	signIn.AddVisit(tokensecret.Visit{State: "new", ExpiresAt: later.Add(time.Hour)}, later)
	if len(signIn.Tickets) != 1 || len(signIn.Visits) != 1 {
		t.Errorf("%d tickets and %d visits are kept of yesterday", len(signIn.Tickets), len(signIn.Visits))
	}
}

func TestACompletedSignInEndsTheOthers(t *testing.T) {
	before := tokensecret.SignIn{
		Requested:  "now",
		Device:     &tokensecret.Device{Code: "a device code"},
		Unattended: 3,
		Tickets:    []tokensecret.Ticket{{Hash: "one"}, {Hash: "two"}},
		Visits:     []tokensecret.Visit{{State: "three"}},
		Refused:    &tokensecret.Refused{Reason: "AccountMismatch"},
	}
	after := before.Clone()
	after.End()
	switch {
	case after.Requested != "", after.Device != nil, after.Unattended != 0, after.Refused != nil:
		t.Errorf("something still waits: %+v", after)
	case !after.Tickets[0].Used, !after.Tickets[1].Used:
		t.Error("a link still works")
	case len(after.Visits) != 1 || after.Visits[0].Used:
		t.Error("whoever is at the marketplace cannot come back")
	case before.Tickets[0].Used:
		t.Error("the copy shares its tickets")
	}
}

func TestHowOldAClientSecretIs(t *testing.T) {
	made := metav1.NewTime(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	wrote := func(days int, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Time: new(metav1.NewTime(made.AddDate(0, 0, days))), FieldsV1: metav1.NewFieldsV1(fields)}
	}
	for name, test := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		days    int
	}{
		"nobody recorded anything":       {},
		"it came with the Secret":        {entries: []metav1.ManagedFieldsEntry{wrote(0, `{"f:data":{"f:client_id":{},"f:client_secret":{}}}`)}},
		"it was replaced":                {entries: []metav1.ManagedFieldsEntry{wrote(5, `{"f:data":{"f:client_secret":{}}}`)}, days: 5},
		"two have written it":            {entries: []metav1.ManagedFieldsEntry{wrote(7, `{"f:data":{"f:client_secret":{}}}`), wrote(5, `{"f:data":{"f:client_secret":{}}}`)}, days: 7},
		"something else was written":     {entries: []metav1.ManagedFieldsEntry{wrote(5, `{"f:data":{"f:client_secret_previous":{}},"f:metadata":{}}`)}},
		"an entry has no time or fields": {entries: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:client_secret":{}}`)}, {Time: &made}}},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "app", CreationTimestamp: made, ManagedFields: test.entries},
				Data:       map[string][]byte{"client_id": []byte("id"), "client_secret": []byte("secret")},
			}
			application, err := tokensecret.DecodeApplication(secret, false)
			if err != nil {
				t.Fatal(err)
			}
			if want := made.AddDate(0, 0, test.days); !application.SecretSince.Equal(want) {
				t.Errorf("the client secret is there since %s, want %s", application.SecretSince, want)
			}
		})
	}
}
