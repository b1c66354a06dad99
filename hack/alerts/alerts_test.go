package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

const rulesFile = "../../config/monitoring/rules.yaml"

func TestNamesAreThoseOfTheContract(t *testing.T) {
	want := []string{
		"TokenkeeperAccountMismatch", "TokenkeeperAccountNotReady", "TokenkeeperApplicationRejected", "TokenkeeperApplicationSecretExpiring",
		"TokenkeeperAuthorizationExpiring", "TokenkeeperCRDOutdated", "TokenkeeperMarketplaceDown", "TokenkeeperMarketplaceThrottling",
		"TokenkeeperMemoryNearLimit", "TokenkeeperNoLeader", "TokenkeeperOperatorAbsent", "TokenkeeperPersonRequired",
		"TokenkeeperRenewalOutcomeUnknown", "TokenkeeperRenewalOverdue", "TokenkeeperSecretConflict",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, names(alerts())); diff != "" {
		t.Error(diff)
	}
}

// TestEveryReasonHasAnAlertOrNone: who adds a reason says in the table which alert tells of it, and that alert does.
func TestEveryReasonHasAnAlertOrNone(t *testing.T) {
	exprs := map[string]string{}
	for _, alert := range alerts() {
		for _, rule := range alert.rules {
			exprs[alert.name] += rule.expr
		}
	}
	for _, reason := range reasons.Where(func(reasons.Meaning) bool { return true }) {
		switch told := reasons.Of(reason).Alert; told {
		case reasons.UnknownAlert:
			t.Errorf("%s has neither an alert nor %q", reason, reasons.NoAlert)
		case reasons.NoAlert:
		case reasons.AuthorizationExpiring: // told by the date
		default:
			if !regexp.MustCompile(`\b` + reason + `\b`).MatchString(exprs["Tokenkeeper"+string(told)]) {
				t.Errorf("Tokenkeeper%s does not tell of %s", told, reason)
			}
		}
	}
}

// TestEveryAlertIsComplete: severity, impact, action and runbook, and no label that the alert does not have.
func TestEveryAlertIsComplete(t *testing.T) {
	used := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, alert := range alerts() {
		seen := map[string]bool{}
		for _, rule := range alert.rules {
			if seen[rule.severity] || !slices.Contains([]string{info, warning, critical}, rule.severity) || rule.lasts == "" {
				t.Errorf("%s: severity %q, for %q", alert.name, rule.severity, rule.lasts)
			}
			seen[rule.severity] = true
			kept := regexp.MustCompile(`(?:max|min|count) by \(([a-z, ]+)\)`).FindStringSubmatch(rule.expr)
			for _, match := range used.FindAllStringSubmatch(alert.about+alert.impact+alert.action, -1) {
				if kept == nil || !slices.Contains(strings.Split(kept[1], ", "), match[1]) {
					t.Errorf("%s: label %s is not among %v", alert.name, match[1], kept)
				}
			}
		}
		for what, text := range map[string]string{"summary": alert.about, "impact": alert.impact, "action": alert.action} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: its %s is %q", alert.name, what, text)
			}
		}
	}
}

// TestAnnotationsCanBeFilledIn as Prometheus does it, with the labels of an account.
func TestAnnotationsCanBeFilledIn(t *testing.T) {
	functions := template.FuncMap{
		"humanizeDuration":   func(seconds float64) string { return (time.Duration(seconds) * time.Second).String() },
		"humanizePercentage": func(part float64) string { return fmt.Sprintf("%.4g%%", part*100) },
	}
	data := map[string]any{"Value": 3600.0, "Labels": map[string]string{
		"namespace": "shop", "name": "main", "marketplace": "allegro", "job": "tokenkeeper", "instance": "10.0.0.1:8080",
	}}
	for _, rule := range rulesOf(alerts()).Groups[0].Rules {
		for name, text := range rule.Annotations {
			made, err := template.New(name).Funcs(functions).Option("missingkey=error").Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
			if err != nil {
				t.Errorf("%s, %s: %v", rule.Alert, name, err)
				continue
			}
			var filled strings.Builder
			if err := made.Execute(&filled, data); err != nil || strings.ContainsAny(filled.String(), "{}<>") {
				t.Errorf("%s, %s: %q, %v", rule.Alert, name, filled.String(), err)
			}
		}
	}
}

// TestEveryAlertHasARunbook at the address that it names, and there is no other.
func TestEveryAlertHasARunbook(t *testing.T) {
	folder := "../../docs/runbooks"
	for _, name := range names(alerts()) {
		text, err := os.ReadFile(filepath.Join(folder, name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := string(text)
		if !strings.HasPrefix(page, "# "+name+"\n") {
			t.Errorf("%s: the page begins otherwise", name)
		}
		rest := page
		for _, section := range []string{"## Meaning", "## Impact", "## What to look at", "## What to do", "## When it is over"} {
			_, after, found := strings.Cut(rest, "\n"+section+"\n")
			if !found || len(strings.TrimSpace(strings.SplitN(after, "\n## ", 2)[0])) < 40 {
				t.Errorf("%s: no section %q in its place, or an empty one", name, section)
				break
			}
			rest = after
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := strings.TrimSuffix(entry.Name(), ".md"); !slices.Contains(names(alerts()), name) {
			t.Errorf("%s belongs to no alert", entry.Name())
		}
	}
}

func TestGeneratedFilesAreThoseOfTheTable(t *testing.T) {
	files, err := render(alerts())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not up to date (%v): run \"make generate\"", name, err)
		}
	}
}

func TestPromtoolAcceptsTheRules(t *testing.T) { promtool.CheckRules(t, rulesFile) }

// TestAlerts plays each alert, firing and not firing, as it is scraped with and without honorLabels. A check names all that fires.
func TestAlerts(t *testing.T) {
	const success = "tokenkeeper_token_requests_total"
	token := func(outcome string, until, minutes int) promtool.Series {
		return counts(success, until, minutes, "marketplace", "allegro", "environment", "Production", "grant", "RefreshToken", "outcome", outcome)
	}
	var stories []promtool.Story
	tell := func(name string, minutes int, series []promtool.Series, checks ...promtool.Check) {
		stories = append(stories, promtool.Story{Name: name, Series: append(slices.Clone(series), operator(minutes)...), Checks: checks})
	}

	tell("an account that works", 60, all(working("main", "allegro", 60)), at(60))

	tell("a token that has expired", 40, all(
		lives("main", "allegro", 40).renewed("Automatic").token(9*minute, 10*minute).fine(0, 10).
			is("Ready", "False", "SecretNotFound", 10, 0).is("Authenticated", "Unknown", "SecretNotFound", 10, 0).
			is("ReauthRequired", "False", "NotRequired", 10, 0).is("Stalled", "True", "SecretNotFound", 10, 0),
	), at(9), at(14, onAccount("RenewalOverdue", critical, "main")),
		at(16, onAccount("AccountNotReady", critical, "main"), onAccount("RenewalOverdue", critical, "main")),
		at(26, onAccount("AccountNotReady", critical, "main"), onAccount("RenewalOverdue", critical, "main"), onAccount("RenewalOverdue", warning, "main")))

	expired := func() *life {
		return lives("main", "allegro", 20).renewed("Automatic").token(0, 5*minute).is("Ready", "False", "Renewing", 5, 0).is("Authenticated", "True", "TokenValid", 0, 0)
	}
	tell("two replicas tell of an account once", 20, several(replicas(expired().series)),
		at(3, onAccount("RenewalOverdue", critical, "main")), at(11, onAccount("AccountNotReady", critical, "main"), onAccount("RenewalOverdue", critical, "main")))
	gone := expired()
	for i := range gone.series {
		for at := 8; at < len(gone.series[i].Samples); at++ {
			gone.series[i].Samples[at] = promtool.None()
		}
	}
	tell("an account that is deleted is not told of any more", 20, all(gone), at(7, onAccount("RenewalOverdue", critical, "main")), at(8), at(20))

	tell("a first token that does not come", 40, all(
		lives("main", "allegro", 40).renewed("Automatic").is("Ready", "False", "Renewing", 0, 0).is("Authenticated", "Unknown", "Renewing", 0, 0),
	), at(29), at(31, onAccount("AccountNotReady", warning, "main")))

	tell("a person who has not signed in yet is no page", 40, all(
		lives("main", "allegro", 40).renewed("Automatic").is("Ready", "False", "SignInRequired", 0, 0).is("Authenticated", "False", "SignInRequired", 0, 0).
			is("ReauthRequired", "True", "SignInRequired", 0, 0).is("Stalled", "True", "SignInRequired", 0, 0),
	), at(4), at(40, onAccount("PersonRequired", warning, "main")))

	tell("a grant that is dead while its token lives", 250, all(
		lives("main", "allegro", 250).renewed("Automatic").span("tokenkeeper_access_token_expiration_timestamp_seconds", 4*hour, 0, 0).
			is("Ready", "True", "TokenValid", 0, 240).is("Ready", "False", "GrantRejected", 240, 0).
			is("Authenticated", "False", "GrantRejected", 0, 0).is("ReauthRequired", "True", "GrantRejected", 0, 0).is("Stalled", "True", "GrantRejected", 0, 0),
	), at(4), at(6, onAccount("PersonRequired", warning, "main")), at(119, onAccount("PersonRequired", warning, "main")),
		at(123, onAccount("PersonRequired", warning, "main"), onAccount("PersonRequired", critical, "main")),
		at(246, onAccount("PersonRequired", warning, "main"), onAccount("PersonRequired", critical, "main"), onAccount("AccountNotReady", critical, "main")))

	tell("a token without an end that the marketplace refuses is dead", 20, all(
		lives("fine", "allegro", 20).renewed("Automatic").fine(0, 0),
		lives("main", "allegro", 20).renewed("Automatic").refused("SignInRequired", "False", 0, 0).is("Stalled", "True", "SignInRequired", 0, 0),
	), at(0), at(2, onAccount("PersonRequired", critical, "main")))

	tell("a login that is refused five minutes before the end is told before the end", 12, all(
		lives("main", "allegro", 12).renewed("Automatic").token(5*minute, 10*minute).fine(0, 5).
			refused("PasswordRejected", "False", 5, 10).is("Stalled", "True", "PasswordRejected", 5, 0),
	), at(5), at(7, onAccount("PersonRequired", critical, "main")))

	tell("more scopes: the former consent goes on, and nobody is woken", 60, all(
		lives("main", "allegro", 60).renewed("Automatic").token(20*minute, 100*minute).
			is("Ready", "True", "TokenValid", 0, 0).is("Authenticated", "True", "TokenValid", 0, 0).is("ReauthRequired", "True", "SignInRequired", 0, 0),
	), at(4), at(20, onAccount("PersonRequired", warning, "main")))

	tell("a suspended account is left alone", 60, all(
		lives("main", "allegro", 60).renewed("Suspended").token(5*minute, 10*minute).is("Ready", "False", "Suspended", 0, 0).
			is("Authenticated", "Unknown", "Suspended", 0, 0).is("ReauthRequired", "True", "SignInRequired", 0, 0).is("Stalled", "True", "Suspended", 0, 0).
			span("tokenkeeper_authorization_expiration_timestamp_seconds", 2*hour, 0, 0).
			span("tokenkeeper_application_secret_expiration_timestamp_seconds", 2*hour, 0, 0),
	), at(60))

	ending := func(name string, seconds float64, says string) *life {
		l := lives(name, "allegro", 20).renewed("Automatic").token(10*hour, 11*hour).is("Ready", "True", "TokenValid", 0, 0).
			is("Authenticated", "True", "TokenValid", 0, 0).is("ReauthRequired", "False", "NotRequired", 0, 0).
			span("tokenkeeper_authorization_expiration_timestamp_seconds", seconds, 0, 0)
		if says == "True" {
			return l.is("AuthorizationExpiring", "True", "AuthorizationExpiring", 0, 0)
		}
		return l.is("AuthorizationExpiring", says, "NotRequired", 0, 0)
	}
	tell("authorizations that end in more than 14 days, 14, 7 and 1", 20, all(
		ending("later", 15*day, "True"), ending("fourteen", 13*day, "True"), ending("seven", 6*day, "True"), ending("one", 20*hour, "True"),
		ending("prolonged", 6*day, "False"),
	), at(9), at(11, onAccount("AuthorizationExpiring", info, "fourteen"), onAccount("AuthorizationExpiring", warning, "seven"), onAccount("AuthorizationExpiring", critical, "one")))
	tell("the severity rises as the days go by", 20, all(ending("main", 7*day+5*minute, "True")),
		at(4), at(16, onAccount("AuthorizationExpiring", warning, "main")))

	secret := func(name, marketplace string, seconds float64) *life {
		return working(name, marketplace, 20).span("tokenkeeper_application_secret_expiration_timestamp_seconds", seconds, 0, 0)
	}
	ends := func(severity, marketplace string) map[string]string {
		return onOperator("ApplicationSecretExpiring", severity, "namespace", "shop", "marketplace", marketplace)
	}
	tell("client secrets that end in more than 30 days, 30 and 7, once for all accounts", 20, all(
		secret("one", "ebay", 31*day), secret("two", "allegro", 20*day), secret("three", "allegro", 20*day+hour),
		secret("four", "amazon", 2*day), secret("five", "amazon", 90*day),
	), at(9), at(11, ends(warning, "allegro"), ends(critical, "amazon")))

	tell("a renewal that does not happen is told before the token ends", 62, all(
		lives("main", "allegro", 62).renewed("Automatic").token(0, 60*minute).fine(0, 0),
		lives("short", "allegro", 62).renewed("Automatic").token(30*minute, 35*minute).fine(0, 0),
	), at(12), at(14, onAccount("RenewalOverdue", critical, "main")), at(33, onAccount("RenewalOverdue", critical, "main"), onAccount("RenewalOverdue", critical, "short")))

	tell("what stops renewals is a ticket long before they are due", 20, all(
		lives("main", "allegro", 20).renewed("Automatic").token(10*hour, 11*hour).is("Ready", "True", "TokenValid", 0, 0).
			is("Authenticated", "Unknown", "SecretInvalid", 0, 0).is("ReauthRequired", "False", "NotRequired", 0, 0).is("Stalled", "True", "SecretInvalid", 0, 0),
	), at(14), at(16, onAccount("RenewalOverdue", warning, "main")))

	unknown := func(name string) *life {
		return lives(name, "allegro", 70).renewed("Automatic").token(0, 60*minute).refused("RenewalOutcomeUnknown", "Unknown", 0, 0)
	}
	tell("lost answers are one ticket for a marketplace, and no page before the last resort has failed", 70, all(unknown("one"), unknown("two")),
		at(1), at(3, onMarketplace("RenewalOutcomeUnknown", warning, "allegro")), at(57, onMarketplace("RenewalOutcomeUnknown", warning, "allegro")),
		at(60, onAccount("PersonRequired", critical, "one"), onAccount("PersonRequired", critical, "two")))
	tell("a last resort that nothing brings is a person's", 20, all(
		lives("main", "allegro", 20).renewed("Automatic").token(0, 10*hour).refused("RenewalOutcomeUnknown", "Unknown", 0, 0).is("Stalled", "True", "RenewalOutcomeUnknown", 0, 0),
	), at(4), at(6, onAccount("PersonRequired", warning, "main")))

	rejected := func(name string, renews, ends float64, until int) *life {
		l := lives(name, "allegro", 60).renewed("Automatic").token(renews, ends).asks("ApplicationRejected", "False", 0, until)
		if until > 0 {
			return l.fine(until, 0)
		}
		return l
	}
	tell("an application that is refused is told once", 60, all(rejected("one", 0, 60*minute, 0), rejected("two", 0, 10*hour, 0), rejected("three", 9*hour, 10*hour, 0)),
		at(6), at(8, onMarketplace("ApplicationRejected", warning, "allegro")),
		at(32, onMarketplace("ApplicationRejected", warning, "allegro"), onMarketplace("ApplicationRejected", critical, "allegro")))
	tell("one that is refused for five minutes is nobody's business", 60, all(rejected("one", 0, 60*minute, 5), rejected("two", 10*hour, 11*hour, 5)), at(4), at(8))

	tell("tokens of another seller", 20, all(
		working("fine", "allegro", 20),
		lives("beside", "allegro", 20).renewed("Automatic").token(10*hour, 11*hour).is("Ready", "True", "TokenValid", 0, 0).is("Authenticated", "True", "AccountMismatch", 0, 0),
		lives("main", "allegro", 20).renewed("Automatic").token(10*hour, 11*hour).refused("AccountMismatch", "False", 0, 0).is("Stalled", "True", "AccountMismatch", 0, 0),
	), at(4), at(6, onAccount("AccountMismatch", warning, "beside"), onAccount("AccountMismatch", warning, "main")))

	down := func(name string, renews, ends float64) *life {
		return lives(name, "allegro", 60).renewed("Automatic").token(renews, ends).fine(0, 10).asks("MarketplaceUnavailable", "Unknown", 10, 0)
	}
	tell("a marketplace that does not answer is told once, and wakes nobody while tokens are good", 60,
		all(down("one", 9*minute, 11*hour), down("two", 10*minute, 12*hour)).beside(token("Success", 9, 60), token("Unavailable", 60, 60)),
		at(14), at(21, onMarketplace("MarketplaceDown", warning, "allegro")), at(60, onMarketplace("MarketplaceDown", warning, "allegro")))
	tell("it wakes somebody before they end", 60,
		all(down("one", 9*minute, 69*minute)).beside(token("Success", 9, 60), token("Unavailable", 60, 60)),
		at(21, onMarketplace("MarketplaceDown", warning, "allegro")), at(38, onMarketplace("MarketplaceDown", warning, "allegro")),
		at(42, onMarketplace("MarketplaceDown", warning, "allegro"), onMarketplace("MarketplaceDown", critical, "allegro")))
	tell("one account that is not served while others are is not the marketplace", 60,
		all(down("one", 9*minute, 69*minute), working("two", "allegro", 60)).beside(token("Success", 60, 60), token("Unavailable", 60, 60)),
		at(20), at(24, onAccount("RenewalOverdue", critical, "one")))

	throttled := func(name string, renews, ends float64) *life {
		return lives(name, "allegro", 60).renewed("Automatic").token(renews, ends).asks("RateLimited", "Unknown", 0, 0)
	}
	tell("a marketplace that asks for fewer requests", 60, all(throttled("one", 0, 60*minute), throttled("two", 0, 10*hour)),
		at(14), at(16, onMarketplace("MarketplaceThrottling", warning, "allegro")),
		at(33, onMarketplace("MarketplaceThrottling", warning, "allegro"), onMarketplace("MarketplaceThrottling", critical, "allegro")))

	conflict := func(name string) *life {
		return lives(name, "allegro", 20).renewed("Automatic").is("Authenticated", "Unknown", "SecretConflict", 0, 0).
			is("ReauthRequired", "False", "NotRequired", 0, 0).is("Stalled", "True", "SecretConflict", 0, 0)
	}
	tell("tokens that cannot be published", 20, all(
		conflict("new").is("Ready", "False", "SecretConflict", 0, 0),
		conflict("main").is("Ready", "True", "TokenValid", 0, 0).token(10*hour, 11*hour),
	), at(1), at(3, onAccount("SecretConflict", critical, "main")), at(6, onAccount("SecretConflict", critical, "main"), onAccount("SecretConflict", warning, "new")))

	stories = append(stories,
		promtool.Story{Name: "an operator that is gone", Series: (&life{minutes: 20}).span("tokenkeeper_build_info", 1, 0, 5, "version", "v", "commit", "c").series,
			Checks: []promtool.Check{at(5), at(9), at(11, onOperator("OperatorAbsent", critical))}},
		promtool.Story{Name: "one of two installations that is gone", Series: append(
			(&life{minutes: 30}).span("tokenkeeper_build_info", 1, 0, 5, "version", "v", "job", "shard-b").series, said("tokenkeeper_build_info", 1, 30, "version", "v"),
		), Checks: []promtool.Check{at(5), at(9), at(11, onOperator("OperatorAbsent", critical, "namespace", "tokenkeeper-system", "job", "shard-b"))}},
		promtool.Story{Name: "a roll-out", Series: append(
			(&life{minutes: 30}).span("tokenkeeper_build_info", 1, 0, 5, "version", "v1").series,
			(&life{minutes: 30}).span("tokenkeeper_build_info", 1, 7, 0, "version", "v2", "instance", "10.0.0.9:8080").series...,
		), Checks: []promtool.Check{at(5), at(11), at(30)}},
		promtool.Story{Name: "replicas of which none leads", Series: []promtool.Series{
			said("tokenkeeper_build_info", 1, 20, "version", "v"), said("tokenkeeper_build_info", 1, 20, "version", "v", "instance", "two"),
			changes("leader_election_master_status", 1, 0, 5, 20, "name", "tokenkeeper"),
			said("leader_election_master_status", 0, 20, "name", "tokenkeeper", "instance", "two"),
			said("leader_election_master_status", 0, 20, "name", "another-operator", "job", "another"), // whose leader is no concern of ours
		}, Checks: []promtool.Check{at(5), at(9, onOperator("NoLeader", critical, "namespace", "tokenkeeper-system", "job", "tokenkeeper-metrics", "name", "tokenkeeper"))}},
		promtool.Story{Name: "memory", Series: []promtool.Series{
			said("tokenkeeper_build_info", 1, 20, "version", "v"),
			changes("process_resident_memory_bytes", 400e6, 470e6, 5, 20), said("go_gc_gomemlimit_bytes", 480e6, 20),
			said("process_resident_memory_bytes", 470e6, 20, "job", "another"), said("go_gc_gomemlimit_bytes", 480e6, 20, "job", "another"),
			said("tokenkeeper_build_info", 1, 20, "version", "v", "instance", "unlimited"),
			said("process_resident_memory_bytes", 470e6, 20, "instance", "unlimited"), said("go_gc_gomemlimit_bytes", 9.223372036854776e18, 20, "instance", "unlimited"),
		}, Checks: []promtool.Check{at(14), at(16, onOperator("MemoryNearLimit", warning, "namespace", "tokenkeeper-system", "job", "tokenkeeper-metrics", "instance", "10.0.0.1:8080"))}},
		promtool.Story{Name: "definitions of another version", Series: []promtool.Series{
			said("tokenkeeper_build_info", 1, 60, "version", "v"), changes("tokenkeeper_crd_outdated", 0, 1, 5, 60),
		}, Checks: []promtool.Check{at(34), at(36, onOperator("CRDOutdated", warning, "namespace", "tokenkeeper-system", "job", "tokenkeeper-metrics"))}},
	)
	promtool.Play(t, rulesFile, stories...)

	told := map[string]bool{}
	for _, story := range stories {
		for _, check := range story.Checks {
			for _, firing := range check.Firing {
				told[firing["alertname"]+" "+firing["severity"]] = true
			}
		}
	}
	for _, alert := range alerts() {
		for _, rule := range alert.rules {
			if !told[alert.name+" "+rule.severity] {
				t.Errorf("no story has %s as %s", alert.name, rule.severity)
			}
		}
	}
}
