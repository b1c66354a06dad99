package exchange_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

const whole = `An account renews,
  and goes on.
source: https://example.com/oauth (renewal)
source: https://example.com/faq
checked: 2026-11-29
uncertain: Whether it
  rotates.

-- ask.yaml --
do: Renew
after: 90m
refreshToken: <jwt {"sub":"1"}>
-- request.http --
POST https://example.com/token HTTP/1.1
Accept: application/json
~X-Correlation: [A-Z0-9]+

grant_type=refresh_token
-- answer.http --
HTTP/1.1 200 OK
Content-Type: application/json

{"access_token":"a"}

-- tokens.yaml --
access_token: a

-- ask.2.yaml --
do: Resolve
-- facts.2.yaml --
{}
`

func TestParse(t *testing.T) {
	file, err := exchange.Parse("folder/renewal.txtar", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &exchange.File{
		Name: "renewal", Title: "An account renews, and goes on.",
		Sources: []string{"https://example.com/oauth (renewal)", "https://example.com/faq"},
		Checked: time.Date(2026, time.November, 29, 0, 0, 0, 0, time.UTC), Uncertain: []string{"Whether it rotates."},
		Steps: []exchange.Step{
			{
				Ask: exchange.Ask{
					Do: exchange.Renew, After: exchange.Duration(90 * time.Minute), RefreshToken: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.dW5zaWduZWQ",
				},
				Request: &exchange.Request{
					Method: "POST", URL: "https://example.com/token", Body: "grant_type=refresh_token",
					Headers: map[string]string{"Accept": "application/json"}, Patterns: map[string]string{"X-Correlation": "[A-Z0-9]+"},
				},
				Answer:  &exchange.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"access_token":"a"}`)},
				Outcome: "tokens", Result: []byte("access_token: a\n\n"),
			},
			{Ask: exchange.Ask{Do: exchange.Resolve}, Outcome: "facts", Result: []byte("{}\n")},
		},
	}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNoExchange(t *testing.T) {
	tests := map[string]struct{ from, to, err string }{
		"no title":                  {"An account renews,\n  and goes on.\n", "", "the first line must say what the exchange shows"},
		"no source":                 {"source: ", "from: ", `a line "source: " must say where the facts come from`},
		"no day":                    {"checked: 2026-11-29\n", "", `a line "checked: " must say on which day the file was held against its source`},
		"a day that is none":        {"2026-11-29", "autumn 2026", `checked must be a day such as 2026-11-29, not "autumn 2026"`},
		"a section of no use":       {"-- facts.2.yaml --", "-- fact.2.yaml --", `section "fact.2.yaml": is none that there is`},
		"a section without a name":  {"-- facts.2.yaml --", "-- Facts --", `section "Facts" is none that there is`},
		"a step left out":           {"-- ask.2.yaml --", "-- ask.3.yaml --", `section "ask.3.yaml" must belong to step 1 or 2`},
		"a step without an outcome": {"-- tokens.yaml --", "-- address.txt --", "step 1 must say what comes of it"},
		"two outcomes":              {"-- answer.http --", "-- refused.yaml --", `section "tokens.yaml": the step has an outcome, refused`},
		"an action's misprint":      {"after: ", "afterwards: ", `unknown field "afterwards"`},
		"a span that is none":       {"90m", "soon", `"soon" is no duration`},
		"claims that are none":      {`{"sub":"1"}`, `{sub}`, "the claims of a token are no JSON"},
		"a request without a line":  {"POST https://example.com/token HTTP/1.1", "POST /token", "the first line must be such as POST https://example.com/token HTTP/1.1"},
		"a header that is none":     {"Accept: ", "Accept ", `"Accept application/json" is no header`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := exchange.Parse("a.txtar", []byte(strings.ReplaceAll(whole, test.from, test.to)))
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.HasPrefix(err.Error(), "a.txtar: ") {
				t.Errorf("the error is %v, want a.txtar: %s", err, test.err)
			}
		})
	}
}

func TestText(t *testing.T) {
	file, err := exchange.Parse("a.txtar", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	request := file.Steps[0].Request
	for name, test := range map[string]struct {
		correlation string
		same        bool
	}{"a value that fits": {"A1", true}, "a value that does not": {"A1!", false}} {
		t.Run(name, func(t *testing.T) {
			headers := http.Header{"Accept": {"application/json"}, "X-Correlation": {test.correlation}}
			got := exchange.Text("POST", "https://example.com/token", headers, "grant_type=refresh_token", request)
			if (got == request.Text()) != test.same {
				t.Errorf("written as\n%s\nfor\n%s", got, request.Text())
			}
		})
	}
}

func TestLeads(t *testing.T) {
	step := exchange.Step{Address: "https://example.com/authorize?nonce=<random>&state=s.1"}
	for address, want := range map[string]bool{
		"https://example.com/authorize?nonce=AB2C&state=s.1":  true,
		"https://example.com/authorize?nonce=&state=s.1":      false,
		"https://example.com/authorize?nonce=AB2C&state=sx1":  false,
		"https://example.com/authorize?nonce=AB2C&state=s.12": false,
	} {
		if got := step.Leads(address); got != want {
			t.Errorf("%s: %t, want %t", address, got, want)
		}
	}
}

func TestParseAt(t *testing.T) {
	text := strings.ReplaceAll(whole, `"access_token":"a"`, `"access_token":"a","at":<unix 90m>`)
	file, err := exchange.ParseAt("a.txtar", []byte(text), time.Unix(1000, 0))
	if err != nil || string(file.Steps[0].Answer.Body) != `{"access_token":"a","at":6400}` {
		t.Errorf("the answer is %s (%v)", file.Steps[0].Answer.Body, err)
	}
}

func TestFolder(t *testing.T) {
	folder := fstest.MapFS{"b.txtar": {Data: []byte(whole)}, "a.txtar": {Data: []byte(whole)}, "README.md": {Data: []byte("none")}}
	files, err := exchange.Folder(folder)
	if err != nil || len(files) != 2 || files[0].Name != "a" || files[1].Name != "b" {
		t.Errorf("the files are %v (%v)", files, err)
	}
	folder["c.txtar"] = &fstest.MapFile{Data: []byte("nothing")}
	if _, err := exchange.Folder(folder); err == nil {
		t.Error("a file that is no exchange is passed over")
	}
}
