package main

import (
	"errors"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestVisits(t *testing.T) {
	a, b := types.NamespacedName{Namespace: "shop", Name: "a"}, types.NamespacedName{Namespace: "shop", Name: "b"}
	link, other := invitation{account: a, url: "http://localhost:2/1"}, invitation{account: b, url: "http://localhost:2/b"}
	next := invitation{account: a, url: "http://localhost:2/2"}
	lost := errors.New("the way is lost")
	type seen struct {
		link invitation
		err  error
	}
	tests := map[string]struct {
		seen           []seen
		over, nextOver bool
		failed         []string
	}{
		"nobody came":              {},
		"somebody signed in":       {seen: []seen{{link, nil}}, over: true},
		"once in vain":             {seen: []seen{{link, lost}}, failed: []string{"nobody could follow the link of shop/a, http://localhost:2/1: the way is lost"}},
		"in vain, and then in":     {seen: []seen{{link, lost}, {link, nil}}, over: true},
		"by the next link":         {seen: []seen{{link, lost}, {next, nil}}, nextOver: true},
		"in vain by the next link": {seen: []seen{{link, lost}, {next, lost}}, failed: []string{"nobody could follow the link of shop/a, http://localhost:2/2: the way is lost"}},
		"too often in vain": {
			seen: []seen{{link, lost}, {link, lost}, {link, lost}, {link, lost}, {link, lost}}, over: true, nextOver: true,
			failed: []string{"nobody could follow the link of shop/a, http://localhost:2/1: the way is lost"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := visits{}
			for _, seen := range test.seen {
				if got := v.note(seen.link, seen.err); !errors.Is(got, seen.err) {
					t.Errorf("noting %v returns %v", seen.err, got)
				}
			}
			if got := v.over(link); got != test.over {
				t.Errorf("over is %t, want %t", got, test.over)
			}
			if got := v.over(next); got != test.nextOver {
				t.Errorf("over is %t for the next link, want %t", got, test.nextOver)
			}
			if got := v.failed([]invitation{next, other}); !slices.Equal(got, test.failed) {
				t.Errorf("failed is %q, want %q", got, test.failed)
			}
			if v.over(other) {
				t.Error("another account is over as well")
			}
		})
	}
}
