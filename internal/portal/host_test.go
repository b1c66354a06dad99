package portal_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/internal/portal"
)

// footerOf is what stands below a page of a portal that somebody runs; empty where nothing does.
func footerOf(t *testing.T, path, language, organisation, contact string) string {
	t.Helper()
	w := newWorld(t)
	served, err := portal.New(portal.Options{
		Address: "https://tokens.example.com", SignIns: w.signIns, Reader: w.cluster, Writer: w.cluster, Recorder: w.told, Clock: w.clock, Random: rand.Reader,
		Log: logr.Discard(), Organisation: organisation, Contact: contact,
	})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	request.Header.Set("Accept-Language", language)
	answer := httptest.NewRecorder()
	served.ServeHTTP(answer, request)
	page := answer.Body.String()
	for _, script := range []string{"<script", "<img", `href="javascript:`} {
		if strings.Contains(page, script) {
			t.Errorf("the page has %s in\n%s", script, page)
		}
	}
	_, footer, _ := strings.Cut(page, "<footer>")
	footer, _, _ = strings.Cut(footer, "</footer>")
	return strings.TrimSpace(footer)
}

func TestPagesSayWhoRunsThem(t *testing.T) {
	for _, path := range []string{"/", "/nowhere", "/sign-in/shop/main?ticket=wrong", "/done/nothing"} {
		got := footerOf(t, path, "en", "Example Ltd", "tokens@example.com")
		want := "<p>These pages are run by Example Ltd.</p>\n" +
			`<p>Questions? <a href="mailto:tokens@example.com">tokens@example.com</a></p>`
		if got != want {
			t.Errorf("below %s stands\n%s\nwant\n%s", path, got, want)
		}
	}
}

func TestWhomPeopleMayAsk(t *testing.T) {
	for name, row := range map[string]struct{ language, organisation, contact, want string }{
		"nobody has said it":         {"en", "", "", ""},
		"in German":                  {"de", "Müller & Söhne", "", "<p>Diese Seiten betreibt: Müller &amp; Söhne.</p>"},
		"in Polish":                  {"pl", "Sklep", "", "<p>Te strony prowadzi: Sklep.</p>"},
		"a page":                     {"en", "", "https://help.example.com/a?b=c&d", `<p>Questions? <a href="https://help.example.com/a?b=c&amp;d">https://help.example.com/a?b=c&amp;d</a></p>`},
		"words":                      {"en", "", "room 7, +48 22 000", "<p>Questions? room 7, &#43;48 22 000</p>"},
		"an address with its name":   {"en", "", "Anna <anna@example.com>", "<p>Questions? Anna &lt;anna@example.com&gt;</p>"},
		"a script as a contact":      {"en", "", "javascript:alert(1)", "<p>Questions? javascript:alert(1)</p>"},
		"a page without TLS":         {"en", "", "http://help.example.com", "<p>Questions? http://help.example.com</p>"},
		"markup as a contact":        {"en", "", `"><script>alert(1)</script>`, "<p>Questions? &#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
		"markup as an organisation":  {"en", "<img src=x>", "", "<p>These pages are run by &lt;img src=x&gt;.</p>"},
		"a place for something else": {"en", "{user}", "", "<p>These pages are run by {user}.</p>"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := footerOf(t, "/", row.language, row.organisation, row.contact); got != row.want {
				t.Errorf("it says\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}
