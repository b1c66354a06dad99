package bounds_test

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

func TestNoHalfOfACharacterIsLeft(t *testing.T) {
	for limit, want := range map[int]string{0: "", 1: "", 2: "Ż", 3: "Ż", 4: "Żó", 5: "Żó", 9: "Żółw"} {
		if got := bounds.Cut("Żółw", limit); got != want {
			t.Errorf("the first %d bytes are %q, want %q", limit, got, want)
		}
	}
}

func TestALongTextIsShortened(t *testing.T) {
	for limit, want := range map[int]string{7: "Żółw", 6: "Ż…", 5: "Ż…", 4: "…", 3: "…"} {
		if got := bounds.Shorten("Żółw", limit); got != want || len(got) > limit {
			t.Errorf("in %d bytes it is %q, want %q", limit, got, want)
		}
	}
}

func TestTheFirstCharactersOfAText(t *testing.T) {
	for limit, want := range map[int]string{0: "", 1: "Ż", 3: "Żół", 4: "Żółw", 5: "Żółw"} {
		if got := bounds.CutCharacters("Żółw", limit); got != want {
			t.Errorf("the first %d characters are %q, want %q", limit, got, want)
		}
	}
}

func TestALongTextIsShortenedToCharacters(t *testing.T) {
	for limit, want := range map[int]string{5: "Żółw", 4: "Żółw", 3: "Żó…", 2: "Ż…", 1: "…"} {
		if got := bounds.ShortenCharacters("Żółw", limit); got != want {
			t.Errorf("in %d characters it is %q, want %q", limit, got, want)
		}
	}
}

func TestIdentifier(t *testing.T) {
	for text, want := range map[string]string{
		"44130512":                     "44130512",
		"a\x00b\x1f\x7fc d":            "abc d",
		strings.Repeat("ä", 128):       strings.Repeat("ä", 128),
		strings.Repeat("ä", 128) + "x": strings.Repeat("ä", 128),
		"x" + strings.Repeat("ä", 128): "x" + strings.Repeat("ä", 127),
		"Mein\u00a0Laden\u2003":        "Mein Laden",
		"👩\u200d👩\u200d👧 Shop":         "👩👩👧 Shop",
		"\u202enedaL":                  "nedaL",
		"M\xfcller \ufffd":             "Mller",
	} {
		if got := bounds.Identifier(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestALoginIsNoLink: people name shops by their addresses.
func TestALoginIsNoLink(t *testing.T) {
	for text, want := range map[string]string{
		"mój-sklep":                      "mój-sklep",
		"Mein Laden www.laden.example":   "Mein Laden laden.example",
		"https://www.laden.example/":     "laden.example/",
		"wwwww.w.laden.example":          "laden.example",
		"java\x00script:alert(1)":        "alert(1)",
		"hhttp://ttps://laden.example":   "laden.example",
		"mailto:mailto:me@laden.example": "me@laden.example",
	} {
		if got := bounds.Login(text); got != want || bounds.IsAddress(got) {
			t.Errorf("%q became %q", text, got)
		}
	}
}
