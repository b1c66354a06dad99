package chart_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
)

// upgrade is the story of a cluster whose version changes. Its platform is Allegro without mercy: a refresh token works once, and a second use
// ends the grant.
type upgrade struct {
	*shop
	platform *demomarket.Market
	// values and overrides are the ones of the two releases.
	values, overrides string
	// ahead is how far the operators' clocks are ahead of the platform's.
	ahead time.Duration
}

// singleUse is the platform of an upgrade.
func singleUse() demomarket.Platform {
	platform := demomarket.Allegro()
	platform.RefreshToken.ReuseGrace, platform.RefreshToken.ReuseDetection = 0, true
	return platform
}

func startUpgrade(t *testing.T, helm string) *upgrade {
	t.Helper()
	company := authority.New(t, "Company")
	market := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()}, singleUse())
	server, _ := serveTLS(t, market, company.Certify(t, "allegro.example", "api.allegro.example"))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &upgrade{
		shop:     startCluster(t, helm).openShop(t, market),
		platform: market.Platform("allegro"),
		values:   fmt.Sprintf("hostAliases: [{ip: 127.0.0.1, hostnames: [allegro.example, api.allegro.example]}]\ncaBundle: {pem: %q}", company.PEM),
		overrides: fmt.Sprintf(`
allegro:
  overrides:
    environments: [{name: Production, variables: [{name: host, value: "allegro.example:%s"}]}]
    refreshToken: {reuseGrace: ""}`, port),
	}
}

// releaseOperator installs the operator's chart of a version, or changes the release to it.
func (u *upgrade) releaseOperator(v version) {
	u.t.Helper()
	u.release(u.t, "tokenkeeper", v.operator, u.values)
	u.waitForKinds(u.t)
}

// releaseMarketplaces is the same for the marketplaces. An operator may not understand those of a later version.
func (u *upgrade) releaseMarketplaces(v version) {
	u.t.Helper()
	u.release(u.t, "tokenkeeper-marketplaces", v.marketplaces, u.overrides)
}

// start runs a pod of the Deployment, and waits until it is ready.
func (u *upgrade) start(v version) *replica {
	u.t.Helper()
	r := u.startReplica(u.t, image{program: v.program, ahead: u.ahead})
	r.waitReady()
	return r
}

// hang lets a fault strike the next renewal of an account, asks for that renewal, and waits until it hangs.
func (u *upgrade) hang(fault demomarket.Fault, name string) *demomarket.Injected {
	u.t.Helper()
	injected := u.platform.Inject(fault.Once().When(func(r demomarket.Request) bool {
		id, _, _ := (&http.Request{Header: r.Header}).BasicAuth()
		return id == clientOf(name)
	}))
	u.t.Cleanup(injected.Clear)
	u.annotate(name, v1alpha1.AnnotationRenew, "hang")
	select {
	case <-injected.Reached():
	case <-time.After(patience):
		u.t.Fatalf("%s is not renewed: %s", name, u.says(name, v1alpha1.ConditionAuthenticated))
	}
	return injected
}

// sendings is how often each refresh token of an account was sent, without the tokens.
func (u *upgrade) sendings(name string) []int {
	var order []string
	sent := map[string]int{}
	for _, request := range u.platform.Requests() {
		token := request.Parameters["refresh_token"]
		if id, _, _ := (&http.Request{Header: request.Header}).BasicAuth(); id != clientOf(name) || token == "" {
			continue
		}
		if sent[token]++; sent[token] == 1 {
			order = append(order, token)
		}
	}
	counts := make([]int, 0, len(order))
	for _, token := range order {
		counts = append(counts, sent[token])
	}
	return counts
}

// expectLastResorts looks whether no refresh token was sent twice, but for so many last resorts of one account.
func (u *upgrade) expectLastResorts(number int, of string, names ...string) {
	u.t.Helper()
	for _, name := range names {
		again := 0
		for _, times := range u.sendings(name) {
			again += times - 1
		}
		allowed := 0
		if name == of {
			allowed = number
		}
		if again != allowed {
			u.t.Errorf("%d refresh tokens of %s were sent again, want %d: how often each was sent: %d", again, name, allowed, u.sendings(name))
		}
	}
	report := u.platform.Report()
	if report.DoubleSpends+report.GraceReuses+report.LostPairs+report.AbandonedPairs > 0 || report.LiveFamilies != len(names) {
		u.t.Errorf("something was lost: double spends %d, reuses %d, lost pairs %d and %d, grants alive %d of %d",
			report.DoubleSpends, report.GraceReuses, report.LostPairs, report.AbandonedPairs, report.LiveFamilies, len(names))
	}
}

// settle changes the name that people gave each account, and waits until the operator has looked at it.
func (u *upgrade) settle(given string, names ...string) {
	u.t.Helper()
	for _, name := range names {
		u.edit(name, func(account *v1alpha1.MarketplaceAccount) { account.Spec.Login = given })
		eventually(u.t, func() error {
			if account := u.get(name); account.Status.ObservedGeneration != account.Generation {
				return fmt.Errorf("the operator has not looked at %s since it changed", name)
			}
			return nil
		})
	}
}

func (u *upgrade) published(name string) string {
	u.t.Helper()
	return string(u.token(name)[v1alpha1.TokenKeyAccessToken])
}

// TestUpgradeWhileARenewalHangs upgrades from an earlier commit while renewals hang at the demo marketplace, goes back to it, which reads what this version
// writes, comes again, and installs anew. Each version runs its own operator, by its own chart's ServiceAccount and arguments. Pods come and go as a Deployment
// lets them: the new one is ready before the old one is asked to end.
func TestUpgradeWhileARenewalHangs(t *testing.T) {
	t.Parallel()
	const calm, answered, unanswered = "calm", "answered", "unanswered"
	names := []string{calm, answered, unanswered}
	this := version{operator: operator, marketplaces: marketplaces, program: operatorProgram}
	former := versionAt(t, earlier)
	u := startUpgrade(t, helms["4"])

	u.releaseOperator(former)
	u.releaseMarketplaces(former)
	for _, name := range names {
		u.imported(name, "allegro")
	}
	old := u.start(former)
	for _, name := range names {
		u.expectHonoured(name, "allegro", "")
	}
	tokens := map[string]string{calm: u.published(calm), answered: u.published(answered), unanswered: u.published(unanswered)}

	// One renewal hangs before the platform has acted, until the operator gives up; the other after that, until the old pod ends.
	u.hang(demomarket.Hang(), unanswered)
	u.releaseOperator(this)
	now := u.start(this)
	hanging := u.hang(demomarket.HangAfterCommit(), answered)
	old.askToEnd()
	hanging.Release()
	old.waitEnded()
	u.releaseMarketplaces(this)
	u.expectHonoured(answered, "allegro", tokens[answered])
	says := u.expect(unanswered, v1alpha1.ConditionAuthenticated, "Unknown RenewalOutcomeUnknown")
	if u.published(unanswered) != tokens[unanswered] || !strings.HasPrefix(u.says(unanswered, v1alpha1.ConditionReady), "True ") {
		t.Errorf("a token that is still good was taken away: %s", says)
	}
	want(t, u.published(calm), tokens[calm])
	u.renew(calm, "allegro", "after the upgrade")
	u.renew(answered, "allegro", "after the upgrade")
	u.expectLastResorts(0, "", names...)

	// At the end of use the refresh token whose answer was lost is sent again, and the account goes on.
	u.ahead = 12*time.Hour - 2*time.Minute
	now.terminate()
	now = u.start(this)
	u.expectHonoured(unanswered, "allegro", tokens[unanswered])
	u.expectLastResorts(1, unanswered, names...)

	for change, to := range []version{former, this} { // back, and here again
		if change == 0 {
			u.releaseMarketplaces(to)
		}
		u.releaseOperator(to)
		next := u.start(to)
		now.terminate()
		now = next
		u.releaseMarketplaces(to)
		for _, name := range names {
			u.renew(name, "allegro", fmt.Sprint("after change ", change))
		}
		u.expectLastResorts(1, unanswered, names...)
	}

	kept := u.kept(t)
	u.run(t, u.helm, "uninstall", "tokenkeeper", "--namespace", namespace)
	now.terminate()
	before := u.platform.Report().Count("", "")
	u.releaseOperator(this)
	u.start(this)
	u.settle("again", names...)
	want(t, u.platform.Report().Count("", ""), before)
	for name, uid := range u.kept(t) {
		want(t, uid, kept[name])
	}
	for _, name := range names {
		u.renew(name, "allegro", "after the installation")
	}
	u.expectLastResorts(1, unanswered, names...)
}
