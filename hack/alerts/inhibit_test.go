package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

type inhibition struct {
	Source []string `json:"source_matchers"`
	Target []string `json:"target_matchers"`
	Equal  []string `json:"equal"`
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	text, err := os.ReadFile("../../config/monitoring/inhibit_rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rules []inhibition `json:"inhibit_rules"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Rules
}

var matcher = regexp.MustCompile(`^(\w+)(=~|=)"(.+)"$`)

// matches tells whether labels fit all matchers, as Alertmanager reads them.
func matches(t *testing.T, matchers []string, labels map[string]string) bool {
	t.Helper()
	for _, text := range matchers {
		parts := matcher.FindStringSubmatch(text)
		if parts == nil {
			t.Fatalf("%q is no matcher", text)
		}
		pattern := parts[3]
		if parts[2] == "=" {
			pattern = regexp.QuoteMeta(pattern)
		}
		if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(labels[parts[1]]) {
			return false
		}
	}
	return true
}

// notified are the alerts left to tell of those that fire. As in Alertmanager, one that is inhibited inhibits further ones all the same.
func notified(t *testing.T, firing []map[string]string) []string {
	t.Helper()
	rules := inhibitions(t)
	var left []string
	for i, target := range firing {
		quiet := slices.ContainsFunc(rules, func(rule inhibition) bool {
			if !matches(t, rule.Target, target) {
				return false
			}
			for j, source := range firing {
				equal := !slices.ContainsFunc(rule.Equal, func(label string) bool { return source[label] != target[label] })
				if i != j && equal && matches(t, rule.Source, source) {
					return true
				}
			}
			return false
		})
		if !quiet {
			left = append(left, strings.TrimSpace(strings.TrimPrefix(target["alertname"], "Tokenkeeper")+" "+target["severity"]+" "+target["name"]))
		}
	}
	slices.Sort(left)
	return left
}

func TestInhibition(t *testing.T) {
	for name, test := range map[string]struct {
		firing []map[string]string
		want   []string
	}{
		"a refused application inhibits its accounts": {
			[]map[string]string{
				onMarketplace("ApplicationRejected", critical, "allegro"), onMarketplace("ApplicationRejected", warning, "allegro"),
				onAccount("AccountNotReady", critical, "one"), onAccount("AccountNotReady", critical, "two"), onAccount("RenewalOverdue", critical, "three"),
			},
			[]string{"ApplicationRejected critical"},
		},
		"not those of another marketplace": {
			[]map[string]string{onMarketplace("ApplicationRejected", warning, "ebay"), onAccount("AccountNotReady", critical, "one")},
			[]string{"AccountNotReady critical one", "ApplicationRejected warning"},
		},
		"not what a person must do": {
			[]map[string]string{
				onMarketplace("MarketplaceDown", warning, "allegro"), onAccount("AccountNotReady", critical, "one"),
				onAccount("PersonRequired", critical, "one"), onAccount("PersonRequired", warning, "one"),
			},
			[]string{"MarketplaceDown warning", "PersonRequired critical one"},
		},
		"one page for an account": {
			[]map[string]string{onAccount("AccountNotReady", critical, "one"), onAccount("RenewalOverdue", critical, "one"), onAccount("RenewalOverdue", warning, "one")},
			[]string{"AccountNotReady critical one"},
		},
		"another account is heard": {
			[]map[string]string{onAccount("PersonRequired", critical, "one"), onAccount("AccountNotReady", critical, "two")},
			[]string{"AccountNotReady critical two", "PersonRequired critical one"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, notified(t, test.firing)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInhibitionNamesAlertsThatThereAre and labels that they have.
func TestInhibitionNamesAlertsThatThereAre(t *testing.T) {
	for _, rule := range inhibitions(t) {
		for _, text := range append(slices.Clone(rule.Source), rule.Target...) {
			parts := matcher.FindStringSubmatch(text)
			if parts == nil || parts[1] != "alertname" || strings.Contains(parts[3], "+") {
				continue
			}
			for name := range strings.SplitSeq(parts[3], "|") {
				if !slices.Contains(names(alerts()), name) {
					t.Errorf("there is no alert %s", name)
				}
			}
		}
	}
}
