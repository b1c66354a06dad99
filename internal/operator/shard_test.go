package operator

import (
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// shardOf reads flags.
func shardOf(args ...string) (shard, error) {
	flags := flag.NewFlagSet("tokenkeeper", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o, err := Parse(flags, args)
	return o.shard, err
}

func TestShard(t *testing.T) {
	for name, test := range map[string]struct {
		args       []string
		namespaces []string
		account    labels.Set // of ours
		says       string
	}{
		"no flag":               {account: labels.Set{"any": "label"}},
		"empty flags":           {args: []string{"--watch-namespaces=", "--watch-label-selector="}, account: labels.Set{}},
		"namespaces":            {args: []string{"--watch-namespaces=shop,outlet"}, namespaces: []string{"outlet", "shop"}},
		"the last flag counts":  {args: []string{"--watch-namespaces=shop", "--watch-namespaces=outlet"}, namespaces: []string{"outlet"}},
		"labels":                {args: []string{"--watch-label-selector=shard=a,!test"}, account: labels.Set{"shard": "a"}},
		"both":                  {args: []string{"--watch-namespaces=shop", "--watch-label-selector=shard in (a, b)"}, namespaces: []string{"shop"}, account: labels.Set{"shard": "b"}},
		"no name":               {args: []string{"--watch-namespaces=Shop"}, says: `"Shop" is no name of a namespace`},
		"a name too many":       {args: []string{"--watch-namespaces=shop,"}, says: `"" is no name of a namespace`},
		"a space":               {args: []string{"--watch-namespaces=shop, outlet"}, says: `" outlet" is no name of a namespace`},
		"a name twice":          {args: []string{"--watch-namespaces=shop,outlet,shop"}, says: `namespace "shop" is named twice`},
		"words that select not": {args: []string{"--watch-label-selector=shard is a"}, says: `"shard is a" is no label selector`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := shardOf(test.args...)
			switch {
			case test.says != "":
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the error is %v, want one that says %q", err, test.says)
				}
			case err != nil:
				t.Errorf("the error is %v", err)
			case !slices.Equal(s.namespaces, test.namespaces):
				t.Errorf("the namespaces are %v, want %v", s.namespaces, test.namespaces)
			case test.account != nil && s.selector != nil && !s.selector.Matches(test.account):
				t.Errorf("%v does not select %v", s.selector, test.account)
			case len(test.args) == 1 && test.account != nil && s.selector.Matches(labels.Set{"shard": "c"}):
				t.Errorf("%v selects all", s.selector)
			}
		})
	}
}

// Operators that keep the same accounts share a lease, others do not.
func TestLease(t *testing.T) {
	lease := func(args ...string) string {
		t.Helper()
		s, err := shardOf(args...)
		if err != nil {
			t.Fatal(err)
		}
		return s.lease()
	}
	if got := lease(); got != "tokenkeeper" {
		t.Errorf("without a flag the lease is %q", got)
	}
	if got := lease("--watch-namespaces=", "--watch-label-selector="); got != "tokenkeeper" {
		t.Errorf("with empty flags the lease is %q", got)
	}
	seen := map[string][]string{"tokenkeeper": nil}
	for _, same := range [][][]string{
		{{"--watch-namespaces=a,b"}, {"--watch-namespaces=b,a"}},
		{{"--watch-namespaces=a"}},
		{{"--watch-label-selector=a"}},
		{{"--watch-label-selector=a=1,b=2"}, {"--watch-label-selector=b=2, a=1"}},
		{{"--watch-label-selector=a in (1,2)"}, {"--watch-label-selector=a in (2, 1)"}},
		{{"--watch-namespaces=a", "--watch-label-selector=a"}, {"--watch-label-selector=a", "--watch-namespaces=a"}},
	} {
		name := lease(same[0]...)
		if !regexp.MustCompile(`^tokenkeeper-[0-9a-f]{10}$`).MatchString(name) {
			t.Errorf("%v: the lease is %q", same[0], name)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%v and %v share the lease %q", same[0], other, name)
		}
		seen[name] = same[0]
		for _, args := range same[1:] {
			if got := lease(args...); got != name {
				t.Errorf("the lease of %v is %q, and that of %v %q", same[0], name, args, got)
			}
		}
	}
	// Leases live on in clusters: a change of how they are named would let an old and a new version work at once.
	if got := lease("--watch-namespaces=shop", "--watch-label-selector=shard=a"); got != "tokenkeeper-00fe2b2740" {
		t.Errorf("the lease is %q", got)
	}
}
