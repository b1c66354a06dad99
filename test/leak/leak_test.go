package leak_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

func TestACredentialIsFound(t *testing.T) {
	const long, short = "eyJhbGciOiJFUzI1NiJ9.c29tZXRoaW5nIGxvbmc.bm9ib2R5LWd1ZXNzZXM", "hunter-2"
	sum := sha256.Sum256([]byte(long))
	search := leak.For(long, short, "seven77", short)
	for name, test := range map[string]struct {
		said string
		want bool
	}{
		"nothing":                           {"", false},
		"nothing of it":                     {strings.Repeat("a renewal was stored; ", 1000), false},
		"the whole":                         {"token=" + long, true},
		"the whole and nothing else":        {short, true},
		"at the end":                        {strings.Repeat("x", 10_000) + short, true},
		"all but its end":                   {short[:7], false},
		"in base64":                         {base64.StdEncoding.EncodeToString([]byte(long)), true},
		"the beginning of its hash":         {hex.EncodeToString(sum[:8]), true},
		"the hash in base64":                {base64.StdEncoding.EncodeToString(sum[:]), true},
		"the hash in base64 for addresses":  {base64.RawURLEncoding.EncodeToString(sum[:]), true},
		"its last characters":               {long[len(long)-12:], true},
		"its first, which others share":     {long[:20], false},
		"one that is too short to look for": {"seven77", false},
	} {
		t.Run(name, func(t *testing.T) {
			found := search.In([]byte(test.said))
			if (found != "") != test.want {
				t.Errorf("found %q in %.100q", found, test.said)
			}
		})
	}
	if got, want := search.Parts(), leak.For(long).Parts()+leak.For(short).Parts(); got != want || want < 8 {
		t.Errorf("%d parts are looked for, want %d: each once", got, want)
	}
}

func TestThePlaceIsShown(t *testing.T) {
	got := leak.For("hunter-2").In([]byte("the password is hunter-2, as always"))
	if want := "…the password is hunter-2, as always…"; got != want {
		t.Errorf("shown is %q, want %q", got, want)
	}
}
