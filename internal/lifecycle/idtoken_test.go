package lifecycle

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

func TestUselessIDToken(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	type idToken struct {
		text string
		ends time.Time
	}
	jwt := func(left time.Duration) idToken { return idToken{left.String(), now.Add(left)} }
	const expired, repeated = "it had expired when it came", "it is the one of before, which renewals do not prolong"
	for name, test := range map[string]struct {
		held, got idToken
		want      string
	}{
		"none":                                     {jwt(time.Hour), idToken{}, ""},
		"a new one":                                {jwt(10 * time.Minute), jwt(time.Hour), ""},
		"a new one that ends soon":                 {jwt(10 * time.Minute), jwt(5 * time.Minute), ""},
		"one that ended half a minute ago":         {jwt(time.Hour), jwt(-30 * time.Second), ""},
		"one that ended two minutes ago":           {jwt(time.Hour), jwt(-2 * time.Minute), expired},
		"no JWT":                                   {jwt(time.Hour), idToken{text: "opaque"}, ""},
		"the same, with most of its life ahead":    {jwt(40 * time.Minute), jwt(40 * time.Minute), ""},
		"the same, with little of its life ahead":  {jwt(20 * time.Minute), jwt(20 * time.Minute), repeated},
		"the same, which had expired":              {jwt(-time.Hour), jwt(-time.Hour), expired},
		"the first one, of an account without any": {idToken{}, jwt(20 * time.Minute), ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := facts.Facts{}
			if test.held.text != "" {
				v.Custody.Tokens = &custody.Tokens{IDToken: test.held.text}
			}
			got := Issued{Tokens: answer.Tokens{IDToken: test.got.text, IDTokenExpiresAt: test.got.ends, IssuedAt: now, AccessTokenExpiresAt: now.Add(time.Hour)}}
			if why := uselessIDToken(v, got); why != test.want {
				t.Errorf("it is useless since %q, want %q", why, test.want)
			}
		})
	}
}
