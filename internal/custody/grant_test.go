package custody_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

func TestPublishedValues(t *testing.T) {
	before := []custody.Published{{Key: "instance_url", Value: "https://one.example"}, {Key: "shop", Value: "one"}}
	tests := map[string]struct {
		brought map[string]string
		want    []custody.Published
	}{
		"an answer without any leaves what is published": {nil, before},
		"a value takes the place of the former one of its key": {
			map[string]string{"shop": "two"},
			[]custody.Published{{Key: "instance_url", Value: "https://one.example"}, {Key: "shop", Value: "two"}},
		},
		"further keys are published beside the others, in the order of keys": {
			map[string]string{"api": "v2", "region": "eu", "zone": "b"},
			[]custody.Published{
				{Key: "api", Value: "v2"}, {Key: "instance_url", Value: "https://one.example"}, {Key: "region", Value: "eu"},
				{Key: "shop", Value: "one"}, {Key: "zone", Value: "b"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			grant := custody.Grant{Published: before}
			grant.Published = grant.Publish(test.brought)
			if diff := cmp.Diff(test.want, grant.Published); diff != "" {
				t.Error(diff)
			}
			for key, value := range test.brought {
				if got := grant.PublishedValues()[key]; got != value {
					t.Errorf("%s is %q, want %q", key, got, value)
				}
			}
			if got := grant.PublishedValues()["instance_url"]; got != "https://one.example" {
				t.Errorf("what came before is %q", got)
			}
		})
	}
}

// Identifiers of one account that different sources tell need not agree, so that they say nothing about each other.
func TestWhichIdentifiersMayBeCompared(t *testing.T) {
	tests := map[string]struct {
		one, other string
		want       bool
	}{
		"both of one source":                {"claim sub", "claim sub", true},
		"of two sources":                    {"claim sub", "https://api.example/me", false},
		"the first of a source of before":   {"", "claim sub", true},
		"the second of a source of before":  {"claim sub", "", true},
		"both of no source that was stored": {"", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (custody.Account{By: test.one}).SameSource(custody.Account{By: test.other}); got != test.want {
				t.Errorf("they may be compared: %t", got)
			}
		})
	}
}

func TestSub(t *testing.T) {
	for subject, want := range map[string]string{
		"":                                      "",
		"https://issuer.example.com one":        "one",
		"one":                                   "one",
		"https://issuer.example.com one of two": "one of two",
	} {
		if got := (custody.Grant{Subject: subject}).Sub(); got != want {
			t.Errorf("of %q it is %q, want %q", subject, got, want)
		}
	}
}
