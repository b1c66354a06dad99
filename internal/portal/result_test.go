package portal

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestResultsComeBackAsTheyWere(t *testing.T) {
	account := signin.Account{Namespace: "shop", Name: "main", Login: `"<Łódź>" & co`, Marketplace: "Allegro", Environment: "Production", ExpectedID: "1"}
	for sentence, want := range map[string]result{
		"an outcome":                     {Outcome: &signin.Outcome{Account: account, ID: "1", SeenLogin: "x", MissingScopes: []string{"a", "b"}, Unconfirmed: true}},
		"a problem":                      {Error: &signin.Error{Problem: signin.WrongAccount, Account: account, Detail: "d", GotID: "2", Ticket: "t"}},
		"a problem of nobody's business": {Error: &signin.Error{Problem: signin.VisitUnknown}},
	} {
		t.Run(sentence, func(t *testing.T) {
			value, err := want.encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeResult(value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEveryResultFitsIntoACookie(t *testing.T) {
	for _, filler := range []string{"x", `"`, `\`, "ł", "\u0001", "<", "\u2028", "\xff", "😀"} {
		long := strings.Repeat(filler, 5000)
		account := signin.Account{
			Namespace: strings.Repeat("n", 63), Name: strings.Repeat("n", 63), Login: long, Marketplace: long, Environment: long, ExpectedID: long,
		}
		scopes := make([]string, 64)
		for i := range scopes {
			scopes[i] = long[:min(len(long), 5)]
		}
		for _, r := range []result{
			{Outcome: &signin.Outcome{Account: account, ID: long, SeenLogin: long, MissingScopes: scopes, Unconfirmed: true}},
			{Outcome: &signin.Outcome{Account: account, ID: long, SeenLogin: long, MissingScopes: []string{long}}},
			{Error: &signin.Error{Problem: signin.ApplicationRefused, Account: account, Detail: long, GotID: long, Ticket: strings.Repeat("t", 43)}},
		} {
			value, err := r.encode()
			if err != nil {
				t.Errorf("filled with %q: %v", filler, err)
				continue
			}
			if _, err := decodeResult(value); err != nil {
				t.Errorf("filled with %q: %v", filler, err)
			}
		}
	}
}

func TestMadeUpResultsAreRefused(t *testing.T) {
	for sentence, text := range map[string]string{
		"nothing":                 ``,
		"no result":               `{}`,
		"two results":             `{"Outcome":{"Namespace":"a","Name":"b"},"Error":{"Problem":"LinkUsed"}}`,
		"a problem of its own":    `{"Error":{"Problem":"<b>"}}`,
		"no problem":              `{"Error":{}}`,
		"a name that is none":     `{"Outcome":{"Namespace":"a","Name":"../../x"}}`,
		"a namespace with a path": `{"Error":{"Problem":"LinkUsed","Account":{"Namespace":"a/b","Name":"x"},"Ticket":"t"}}`,
		"a name alone":            `{"Error":{"Problem":"LinkUsed","Account":{"Name":"x"},"Ticket":"t"}}`,
		"a long ticket":           `{"Error":{"Problem":"LinkUsed","Ticket":"` + strings.Repeat("t", 300) + `"}}`,
		"another field":           `{"Error":{"Problem":"LinkUsed","More":"x"}}`,
		"a list":                  `[]`,
	} {
		t.Run(sentence, func(t *testing.T) {
			if read, err := decodeResult(base64.RawURLEncoding.EncodeToString([]byte(text))); err == nil {
				t.Errorf("read %+v", read)
			}
		})
	}
	if _, err := decodeResult("***"); err == nil {
		t.Error("read what is not base64")
	}
	if _, err := decodeResult(strings.Repeat("e", 4096)); err == nil {
		t.Error("read what is too long")
	}
}

func FuzzResult(f *testing.F) {
	f.Add(`{"Error":{"Problem":"LinkUsed","Account":{"Namespace":"a","Name":"x"},"Ticket":"t"}}`)
	f.Add(`{"Outcome":{"Namespace":"a","Name":"b"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		read, err := decodeResult(base64.RawURLEncoding.EncodeToString([]byte(text)))
		if err != nil {
			return
		}
		if (read.Outcome == nil) == (read.Error == nil) {
			t.Errorf("read %+v", read)
		}
	})
}

func TestCut(t *testing.T) {
	for text, want := range map[string]string{
		"short":       "short",
		"a\nb\tc\x00": "a b c ",
		"łłłłłł":      "łł…",
		"12345678":    "12345678",
		"123456789":   "12345…",
		"\xff":        "�",
	} {
		if got := cut(text, 8); got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
}
