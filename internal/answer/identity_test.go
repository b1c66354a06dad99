package answer

import "testing"

func TestWhatAnIdentityErrorMeans(t *testing.T) {
	for name, test := range map[string]struct {
		err                                                IdentityError
		refused, throttled, final, unavailable, unanswered bool
	}{
		"no answer":                {err: IdentityError{}, unavailable: true, unanswered: true},
		"a page that says success": {err: IdentityError{Status: 200, Unreadable: true}, unavailable: true},
		"an error code in success": {err: IdentityError{Status: 200}},
		"the token is refused":     {err: IdentityError{Status: 401}, refused: true},
		"it is forbidden":          {err: IdentityError{Status: 403}, final: true},
		"there is no such call":    {err: IdentityError{Status: 404}, final: true},
		"too many requests":        {err: IdentityError{Status: 429}, throttled: true},
		"the last client error":    {err: IdentityError{Status: 499}},
		"the first server error":   {err: IdentityError{Status: 500}, unavailable: true, unanswered: true},
	} {
		t.Run(name, func(t *testing.T) {
			for what, is := range map[string][2]bool{
				"refused": {test.err.Refused(), test.refused}, "throttled": {test.err.Throttled(), test.throttled}, "final": {test.err.Final(), test.final},
				"unavailable": {test.err.Unavailable(), test.unavailable}, "unanswered": {test.err.Unanswered(), test.unanswered},
			} {
				if is[0] != is[1] {
					t.Errorf("%s: %v, want %v", what, is[0], is[1])
				}
			}
		})
	}
	if text := (&IdentityError{Why: "it broke"}).Error(); text != "testing the connection: it broke" {
		t.Errorf("the text is %q", text)
	}
}
