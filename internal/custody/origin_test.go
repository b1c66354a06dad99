package custody_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// TestWhereAGrantMayBeSent: to the server that gave it, wherever its Marketplace has moved that, and by whatever Marketplace leads there.
func TestWhereAGrantMayBeSent(t *testing.T) {
	given := custody.Origin{Marketplace: "shop/Production", Server: "here"}
	chosen := custody.Origin{Marketplace: "shop/Production", Server: "here", Chosen: "mine"}
	for name, test := range map[string]struct {
		given, now custody.Origin
		allowed    bool
	}{
		"where it was given":                            {given, given, true},
		"where it is not known":                         {custody.Origin{}, given, true},
		"the Marketplace has moved its hosts":           {given, custody.Origin{Marketplace: "shop/Production", Server: "there"}, true},
		"another Marketplace leads to the same server":  {given, custody.Origin{Marketplace: "copy/Production", Server: "here"}, true},
		"another Marketplace leads to another server":   {given, custody.Origin{Marketplace: "other/Production", Server: "there"}, false},
		"another environment with a server of its own":  {given, custody.Origin{Marketplace: "shop/Sandbox", Server: "there"}, false},
		"the author of the account chose the same host": {chosen, chosen, true},
		"the author of the account chose another host":  {chosen, custody.Origin{Marketplace: "shop/Production", Server: "there", Chosen: "other"}, false},
		"the author of the account may choose since":    {given, chosen, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.given.Allows(test.now); got != test.allowed {
				t.Errorf("a grant of %+v may be sent to %+v: %v, want %v", test.given, test.now, got, test.allowed)
			}
		})
	}
}
