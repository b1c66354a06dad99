package tokensecret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// custodyKey is the one key of a grant Secret. It is no contract, but what is stored must be found again.
const custodyKey = "grant.json"

// start is when every test begins.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// account is the one whose Secrets these are.
func account() *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop", UID: "uid-1"}}
}

// owner is its owner reference.
func owner() metav1.OwnerReference {
	return *metav1.NewControllerRef(account(), v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
}

// whole is a custody in which nothing is zero, whatever fields it has or will have.
func whole(t testing.TB) custody.Custody {
	t.Helper()
	var kept custody.Custody
	count := 0
	fill(t, reflect.ValueOf(&kept).Elem(), &count)
	kept.Version = tokensecret.CustodyVersion
	kept.Journal.Retried, kept.ImportJournal.Retried = false, false // which are read alone
	return kept
}

// fill gives every field a value that no other has.
func fill(t testing.TB, value reflect.Value, count *int) {
	t.Helper()
	*count++
	switch into := value.Addr().Interface().(type) {
	case *time.Time:
		*into = start.Add(time.Duration(*count) * time.Hour)
		return
	case *string:
		*into = fmt.Sprintf("value %d <&>\u2028", *count)
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for _, field := range value.Fields() {
			fill(t, field, count)
		}
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem(), count)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, value.Index(0), count)
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		value.SetInt(int64(*count))
	case reflect.Uint8:
		value.SetUint(uint64(*count % 256))
	case reflect.String:
		value.SetString(fmt.Sprintf("value %d", *count))
	default:
		t.Fatalf("a custody holds a %s, for which there is no value here", value.Type())
	}
}

// custodyWith is a custody in which something is set.
func custodyWith(changes ...func(*custody.Custody)) custody.Custody {
	kept := custody.Custody{Version: tokensecret.CustodyVersion}
	for _, change := range changes {
		change(&kept)
	}
	return kept
}

func withRefreshToken(token string) func(*custody.Custody) {
	return func(c *custody.Custody) { c.RefreshToken = token }
}

func TestCustodyRoundTrip(t *testing.T) {
	tests := map[string]custody.Custody{
		"nothing yet":     custodyWith(),
		"everything":      whole(t),
		"tokens alone":    custodyWith(func(c *custody.Custody) { c.Serial, c.Tokens = 1, &custody.Tokens{AccessToken: "at"} }),
		"a renewal begun": custodyWith(withRefreshToken("rt"), func(c *custody.Custody) { c.Journal = &custody.Journal{StartedAt: start} }),
		"a large refusal": custodyWith(func(c *custody.Custody) { c.Refused = &custody.Refusal{Message: strings.Repeat("x", 1024)} }),
		"times of nothing": custodyWith(func(c *custody.Custody) {
			c.Tokens, c.Journal, c.Refused = &custody.Tokens{}, &custody.Journal{}, &custody.Refusal{}
		}),
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			secret, err := tokensecret.EncodeCustody(account(), owner(), want, nil)
			if err != nil {
				t.Fatalf("encoding: %v", err)
			}
			got, err := tokensecret.DecodeCustody(secret)
			if err != nil {
				t.Fatalf("decoding: %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeCustody(t *testing.T) {
	got, err := tokensecret.EncodeCustody(account(), owner(), custodyWith(withRefreshToken("rt")), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "42"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "main-grant", Namespace: "shop", ResourceVersion: "42",
			Labels:          map[string]string{"app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "main"},
			OwnerReferences: []metav1.OwnerReference{owner()},
		},
		Type: "tokenkeeper.dev/grant",
		Data: map[string][]byte{custodyKey: []byte(`{"version":1,"refreshToken":"rt"}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCustodyThatCannotBeWritten would otherwise lose what a single-use token was spent for without a word.
func TestCustodyThatCannotBeWritten(t *testing.T) {
	beyond := func(c *custody.Custody) { c.NotBefore = start.AddDate(9000, 0, 0) }
	_, err := tokensecret.EncodeCustody(account(), owner(), custodyWith(withRefreshToken("rt-secret"), beyond), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "encoding the grant Secret: ") || strings.Contains(err.Error(), "rt-secret") {
		t.Errorf("the error is %v", err)
	}
}

func TestDecodeCustody(t *testing.T) {
	const unreadable = `Secret "main-grant" must hold a readable grant.json`
	tests := map[string]struct {
		secret *corev1.Secret // nil for none; the type is that of a grant when it is not set
		want   custody.Custody
		err    string
	}{
		"no Secret is no custody yet":     {},
		"nor is one without the document": {secret: &corev1.Secret{Data: map[string][]byte{"other": []byte("x")}}},
		"nor is an empty object":          {secret: document(`{}`), want: custodyWith()},
		"nor is null":                     {secret: document(`null`), want: custodyWith()},
		"what nobody knows is passed over": {
			secret: document(`{"refreshToken":"rt","pending":{"deviceCode":"x"}}`), want: custodyWith(withRefreshToken("rt")),
		},
		"an empty document":      {secret: document(``), err: unreadable},
		"half a document":        {secret: document(`{"refreshToken":"rt-secret`), err: unreadable},
		"two documents":          {secret: document(`{"refreshToken":"rt-secret"}{}`), err: unreadable},
		"a list":                 {secret: document(`["rt-secret"]`), err: unreadable},
		"text":                   {secret: document(`rt-secret`), err: unreadable},
		"a token that is none":   {secret: document(`{"refreshToken":["rt-secret"]}`), err: unreadable},
		"a time that is none":    {secret: document(`{"refreshToken":"rt-secret","grantedAt":"rt-secret"}`), err: unreadable},
		"a number that is none":  {secret: document(`{"serial":"rt-secret"}`), err: unreadable},
		"a number beyond bounds": {secret: document(`{"serial":1e99}`), err: unreadable},
		"a Secret of another type": {
			secret: &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{custodyKey: []byte(`{"refreshToken":"rt-secret"}`)}},
			err:    `Secret "main-grant" must be of type tokenkeeper.dev/grant`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.secret != nil {
				test.secret.Name = "main-grant"
				if test.secret.Type == "" {
					test.secret.Type = v1alpha1.SecretTypeGrant
				}
			}
			got, err := tokensecret.DecodeCustody(test.secret)
			if text, advice, ok := strings.Cut(fmt.Sprint(err), "; "); ok {
				if !strings.Contains(advice, "restore it") {
					t.Errorf("the error does not say what to do: %v", err)
				}
				err = errors.New(text)
			}
			check(t, map[string]string{"the document": "rt-secret"}, test.want, test.err, got, err)
			if err != nil {
				if diff := cmp.Diff(custody.Custody{}, got); diff != "" {
					t.Errorf("beside the error there is custody (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// document is a grant Secret that holds text.
func document(text string) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{custodyKey: []byte(text)}}
}

// FuzzDecodeCustody reads whatever somebody may have put into a grant Secret. It must not panic, its error must not
// hold any of it, and what was read must be the same when it was written and read again.
func FuzzDecodeCustody(f *testing.F) {
	seed, err := tokensecret.EncodeCustody(account(), owner(), whole(f), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Data[custodyKey])
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `{"tokens":{}}`, `{"tokens":null,"journal":{"attempts":-1}}`, `{"serial":9223372036854775807}`,
		`{"grantedAt":"0001-01-01T00:00:00Z","notBefore":"9999-12-31T23:59:59.999999999+23:59"}`, `{"refreshToken":"\ud800\u0000"}`,
		"{\"refreshToken\":\"\xff\"}", `{"account":{"id":5}}`, `{"RefreshToken":"a","refreshtoken":"b"}`,
		`{"signIn":{"visits":[],"tickets":[]},"asked":[]}`,
	} {
		f.Add([]byte(text))
	}
	empty := document("")
	empty.Name, empty.Type = "main-grant", v1alpha1.SecretTypeGrant
	_, unreadable := tokensecret.DecodeCustody(empty)
	if unreadable == nil {
		f.Fatal("an empty document is read")
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		secret := document(string(text))
		secret.Name, secret.Type = "main-grant", v1alpha1.SecretTypeGrant
		custody, err := tokensecret.DecodeCustody(secret)
		if tokensecret.IsNewer(err) {
			return // of which TestADocumentOfALaterVersion is
		}
		if err != nil {
			if err.Error() != unreadable.Error() {
				t.Fatalf("the error says something of its own: %v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatal("what is no JSON was read")
		}
		again, err := tokensecret.EncodeCustody(account(), owner(), custody, nil)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		got, err := tokensecret.DecodeCustody(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		// An empty list is one that is not there, but for the scopes that a person was asked for.
		empty := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() != ".Asked" }, cmpopts.EquateEmpty())
		if diff := cmp.Diff(custody, got, empty); diff != "" {
			t.Fatalf("reading twice makes a difference (-first +second):\n%s", diff)
		}
	})
}

// TestAGrantSecretIsBounded reads one that is larger than what the operator writes.
func TestAGrantSecretIsBounded(t *testing.T) {
	secret, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, custody.Custody{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	document := secret.Data["grant.json"]
	secret.Data["grant.json"] = append(bytes.Repeat([]byte(" "), bounds.GrantSecret-len(document)), document...)
	if _, err := tokensecret.DecodeCustody(secret); err != nil {
		t.Errorf("the largest is refused: %v", err)
	}
	secret.Data["grant.json"] = append(secret.Data["grant.json"], ' ')
	if _, err := tokensecret.DecodeCustody(secret); err == nil || !strings.Contains(err.Error(), "must have at most 256 KiB in grant.json") {
		t.Errorf("a larger one is told %v", err)
	}
}

// TestTheLargestGrantCanBeStored has two grants of the largest tokens, and a history of the largest refresh tokens, of which the latest stay.
func TestTheLargestGrantCanBeStored(t *testing.T) {
	token := strings.Repeat("t", bounds.Token)
	grant := custody.Grant{RefreshToken: token, Tokens: &custody.Tokens{AccessToken: token, IDToken: token}}
	largest := custody.Custody{Grant: grant, Candidate: &grant}
	for i := range 16 {
		largest = largest.WithSpentImport(strings.Repeat(string(rune('a'+i)), bounds.Credential))
	}
	secret, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, largest, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := tokensecret.DecodeCustody(secret)
	if err != nil || kept.RefreshToken != token || kept.Candidate == nil || kept.Candidate.RefreshToken != token {
		t.Errorf("it is not what was stored: %v", err)
	}
	if last := len(kept.SpentImports) - 1; last < 0 || kept.SpentImports[last] != largest.SpentImports[15] {
		t.Error("the last refresh token that was spent is forgotten")
	}
	largest.RefusedImport = &custody.Refusal{Imported: strings.Repeat("x", bounds.GrantSecret)}
	if _, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, largest, nil); err == nil || !strings.Contains(err.Error(), "may have 256 KiB") {
		t.Errorf("one that is too large is told %v", err)
	}
}
