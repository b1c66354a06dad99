package tokensecret_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestAGrantSecretAsLargeAsItMayBe is written whole, and by a byte more the oldest of what was spent is forgotten.
func TestAGrantSecretAsLargeAsItMayBe(t *testing.T) {
	written := func(token int) (size int, spent int) {
		t.Helper()
		kept := custody.Custody{Grant: custody.Grant{RefreshToken: strings.Repeat("t", token)}}.WithSpentImport("one").WithSpentImport("two")
		secret, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, kept, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tokensecret.DecodeCustody(secret)
		if err != nil {
			t.Fatal(err)
		}
		return len(secret.Data[custodyKey]), len(again.SpentImports)
	}
	small, _ := written(1)
	most := bounds.GrantSecret - small + 1
	if size, spent := written(most); size != bounds.GrantSecret || spent != 2 {
		t.Errorf("of %d bytes, %d are written, with %d refresh tokens that were spent", bounds.GrantSecret, size, spent)
	}
	if _, spent := written(most + 1); spent != 1 {
		t.Errorf("of a byte more, %d refresh tokens that were spent are kept", spent)
	}
	bare, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, custody.Custody{Grant: custody.Grant{RefreshToken: "t"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := custody.Custody{Grant: custody.Grant{RefreshToken: strings.Repeat("t", bounds.GrantSecret-len(bare.Data[custodyKey])+1)}}
	if _, err := tokensecret.EncodeCustody(account(), metav1.OwnerReference{}, whole, nil); err != nil {
		t.Errorf("a grant as large as its Secret may be is refused: %v", err)
	}
}

// TestWhichVersionWroteADocument that cannot be read: a later one, whose form is another, or this one, whose document is damaged.
func TestWhichVersionWroteADocument(t *testing.T) {
	for document, newer := range map[string]bool{
		`{"notBefore":"whenever","version":99}`:                                          true,
		fmt.Sprintf(`{"notBefore":"whenever","version":%d}`, tokensecret.CustodyVersion): false,
		fmt.Sprintf(`{"version":%d,"serial":"four"}`, tokensecret.CustodyVersion):        false,
	} {
		if _, err := tokensecret.DecodeCustody(grantSecret(document)); err == nil || tokensecret.IsNewer(err) != newer {
			t.Errorf("%s is told as %v", document, err)
		}
	}
}

// TestWhatIsNeverPublished: a key of the Marketplace's takes the place of none of ours, and a refresh token stays in the grant Secret.
func TestWhatIsNeverPublished(t *testing.T) {
	secret, err := tokensecret.Render(account(), nil, tokens(), "17", map[string]string{
		"instance_url": "https://one.example", "access_token": "another", "refresh_token": "single-use", "empty": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := data(secret)
	if got["instance_url"] != "https://one.example" || got["access_token"] != "an-access-token" {
		t.Errorf("it holds %v", got)
	}
	for _, key := range []string{"refresh_token", "empty"} {
		if _, there := got[key]; there {
			t.Errorf("it holds %s", key)
		}
	}
}

// TestTemplatesAsLargeAsTheyMayBe: what all keys render to, a format, and what functions take and make.
func TestTemplatesAsLargeAsTheyMayBe(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	quarter := bounds.TemplateInput / 4
	text := `"` + x(quarter) + `"`
	for name, test := range map[string]struct {
		pairs []string
		ok    bool
	}{
		"what a function takes":     {[]string{"a", `{{ $a := print ` + strings.Repeat(text+" ", 4) + `}}`}, true},
		"what a format takes":       {[]string{"a", `{{ $a := printf "%s%s%s%s" ` + strings.Repeat(text+" ", 4) + `}}`}, true},
		"all keys":                  {[]string{"a", x(bounds.RenderedKey), "b", x(bounds.RenderedSecret - bounds.RenderedKey)}, true},
		"all keys and a byte":       {[]string{"a", x(bounds.RenderedKey), "b", x(bounds.RenderedSecret - bounds.RenderedKey), "c", "x"}, false},
		"a format":                  {[]string{"a", `{{ printf "` + x(1024) + `" }}`}, true},
		"a format and a byte":       {[]string{"a", `{{ printf "` + x(1025) + `" }}`}, false},
		"what functions make":       {[]string{"a", `{{ $a := print "` + x(quarter) + `" }}{{ $b := print $a }}{{ $c := print $a }}{{ $d := print $a }}`}, true},
		"what they make and a byte": {[]string{"a", `{{ $a := print "` + x(quarter) + `" }}{{ $b := print $a }}{{ $c := print $a }}{{ $d := print $a }}{{ $e := print "x" }}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tokensecret.Render(templated(test.pairs...), nil, tokens(), ""); (err == nil) != test.ok {
				t.Errorf("it is told %v", err)
			}
		})
	}
}

func TestTheEarliestTimeOfAUsersSecret(t *testing.T) {
	for written, ok := range map[string]bool{"1970-01-01T00:00:00Z": true, "1969-12-31T23:59:59Z": false} {
		got, err := tokensecret.DecodeImport(secretWith(map[string]string{"refresh_token": "Atzr|x", "granted_at": written}))
		if err != nil || (got.Misdated == "") != ok || ok != got.GrantedAt.Equal(time.Unix(0, 0)) {
			t.Errorf("%s is read as %s, %q, %v", written, got.GrantedAt, got.Misdated, err)
		}
	}
}
