package tokensecret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

func grantSecret(document string) *corev1.Secret {
	secret := &corev1.Secret{Type: v1alpha1.SecretTypeGrant, Data: map[string][]byte{custodyKey: []byte(document)}}
	secret.Name, secret.ResourceVersion = "main-grant", "42"
	return secret
}

// TestADocumentOfALaterVersion is told, and takes an answer in hand without losing what this version does not know.
func TestADocumentOfALaterVersion(t *testing.T) {
	held := grantSecret(`{"version":99,"serial":4,"refreshToken":"old","proof":{"key":"k","n":12345678901234567890},
		"journal":{"startedAt":"2026-03-01T12:00:00Z","attempts":1,"where":"abroad"},
		"candidate":{"refreshToken":"next","shape":"new"},
		"signIn":{"requested":"x","tickets":[{"hash":"a","expiresAt":"2026-03-01T12:00:00Z","for":"one"},{"hash":"b","expiresAt":"2026-03-01T12:00:00Z","for":"another"}],"device":{"code":"d","userCode":"u","url":"https://x/","expiresAt":"2026-03-01T12:00:00Z","intervalSeconds":5,"clientID":"c","mood":"good"}},
		"verified":["it is a list now"]}`)
	custody, err := tokensecret.DecodeCustody(held)
	if !tokensecret.IsNewer(err) || !strings.Contains(err.Error(), `"main-grant"`) || !strings.Contains(err.Error(), "format 99") || strings.Contains(err.Error(), "old") {
		t.Fatalf("the error is %v, want one that names Secret and version", err)
	}
	if custody.Serial != 4 || custody.RefreshToken != "old" || custody.Verified != nil || custody.Version != 99 {
		t.Errorf("what can be read of it is %+v", custody)
	}
	custody.Serial, custody.RefreshToken, custody.Candidate = 5, "new", nil
	custody.SignIn.Tickets[0].Used = true
	secret, err := tokensecret.EncodeCustody(account(), owner(), custody, held)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(secret.Data[custodyKey])))
	decoder.UseNumber()
	var got map[string]any
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	want := object{
		"version": json.Number("99"), "serial": json.Number("5"), "refreshToken": "new",
		"proof":    object{"key": "k", "n": json.Number("12345678901234567890")},
		"journal":  object{"startedAt": "2026-03-01T12:00:00Z", "attempts": json.Number("1"), "where": "abroad"},
		"verified": []any{"it is a list now"},
		"signIn": object{"requested": "x", "tickets": []any{
			object{"hash": "a", "expiresAt": "2026-03-01T12:00:00Z", "used": true}, object{"hash": "b", "expiresAt": "2026-03-01T12:00:00Z", "for": "another"},
		}, "device": object{
			"code": "d", "userCode": "u", "url": "https://x/", "expiresAt": "2026-03-01T12:00:00Z", "intervalSeconds": json.Number("5"), "clientID": "c", "mood": "good",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if secret.ResourceVersion != "42" {
		t.Errorf("the version of the Secret is %q", secret.ResourceVersion)
	}
}

func TestDocumentsOfThisVersionAndBefore(t *testing.T) {
	for name, document := range map[string]string{
		"without a version": `{"serial":4,"refreshToken":"rt"}`, "of this version": `{"version":1,"serial":4,"refreshToken":"rt"}`,
		"with a member that nobody knows": `{"serial":4,"refreshToken":"rt","odd":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			held := grantSecret(document)
			custody, err := tokensecret.DecodeCustody(held)
			if err != nil || custody.Serial != 4 {
				t.Fatalf("it is %+v with error %v", custody, err)
			}
			secret, err := tokensecret.EncodeCustody(account(), owner(), custody, held)
			if err != nil || string(secret.Data[custodyKey]) != `{"version":1,"serial":4,"refreshToken":"rt"}` {
				t.Errorf("it becomes %s with error %v", secret.Data[custodyKey], err)
			}
		})
	}
	if _, err := tokensecret.DecodeCustody(grantSecret(`{"version":99,"serial":"four"}`)); !tokensecret.IsNewer(err) {
		t.Errorf("a member that cannot be read hides the version: %v", err)
	}
	if _, err := tokensecret.DecodeCustody(grantSecret(`{"version":"later"}`)); err == nil || tokensecret.IsNewer(err) {
		t.Errorf("a version that is no number is %v, want an unreadable document", err)
	}
}

// TestAJournalFromBefore counts a last try of the format before as a last resort.
func TestAJournalFromBefore(t *testing.T) {
	custody, err := tokensecret.DecodeCustody(grantSecret(`{"refreshToken":"rt","journal":{"startedAt":"2026-03-01T12:00:00Z","attempts":3,"retried":true}}`))
	if err != nil || !custody.Journal.Lost || custody.Journal.LastResorts != 1 || custody.Journal.Retried {
		t.Errorf("the journal is %+v with error %v", custody.Journal, err)
	}
}
