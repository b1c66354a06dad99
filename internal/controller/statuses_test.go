package controller_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/test/promtool"
	"github.com/tokenkeeper/tokenkeeper/test/statuses"
)

var recordStatuses = flag.Bool("record-statuses", false, "write the statuses of test/statuses anew")

// situations bring account main into each state that docs/who-acts.md speaks of.
var situations = map[string]func(*world){
	"works": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectAuthenticated()
	},
	"renews-itself": func(w *world) {
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectAuthenticated()
	},
	"application-token": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantClientCredentials)
		w.start()
		w.expectAuthenticated()
	},
	"waits-for-the-operator": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.registry = prometheus.NewRegistry() // nobody has looked at it: the default status of the definition
		metrics.RegisterAccounts(w.registry, inNamespace{kube, w.Namespace})
	},
	"sign-in-required": func(w *world) {
		w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
		w.start()
		w.link()
	},
	"token-without-an-end": func(w *world) { w.endless() },
	"token-without-an-end-refused": func(w *world) {
		p := w.endless()
		p.refuses.Store(true)
		w.pass(24 * time.Hour)
		w.pass(2 * time.Minute)
		w.expectSignInRequired()
	},
	"code-offered": func(w *world) {
		w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
		w.start()
		w.userCode("")
	},
	"sign-in-pending": func(w *world) {
		w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
		w.start()
		_, err := w.browser().begin(w.link())
		w.Expect(err).NotTo(HaveOccurred())
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
	},
	"portal-not-configured": func(w *world) {
		w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
		w.portal = ""
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPortalNotConfigured)
	},
	"grant-rejected-never-had-a-token": func(w *world) {
		w.marketplace("ebay")
		w.application()
		w.secret("import", map[string]string{"refresh_token": "not-a-refresh-token"})
		w.account("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	},
	"grant-rejected-token-good-for-long": func(w *world) {
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.revoked("allegro")
	},
	"grant-rejected-token-good": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.revoked("ebay")
	},
	"grant-rejected-token-expired": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.revoked("ebay")
		w.pass(3 * time.Hour)
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	},
	"new-refresh-token-rejected-former-goes-on": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.editSecret("import", map[string]string{"refresh_token": "not-a-refresh-token"})
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	},
	"password-rejected": func(w *world) { w.refusedLogin() },
	"password-rejected-token-good": func(w *world) {
		w.prepare("xsale", v1alpha1.GrantPassword)
		w.start()
		w.expectReady()
		w.editSecret("login", map[string]string{"password": "a-wrong-password"})
		w.settle()
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
	},
	"account-locked": func(w *world) {
		w.Market.Platform("xsale").Inject(demomarket.Refuse(demomarket.UserLocked).Times(0))
		w.prepare("xsale", v1alpha1.GrantPassword)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountLocked)
	},
	"application-rejected": func(w *world) {
		w.Market.Platform("ebay").Inject(refusesApplication().Times(0))
		w.prepare("ebay", v1alpha1.GrantClientCredentials)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	},
	"application-rejected-token-good": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Market.Platform("ebay").Inject(refusesApplication().Times(0))
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	},
	"scope-rejected": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantClientCredentials, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"nonsense"} })
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScopeRejected)
	},
	"scopes-reduced": func(w *world) {
		w.Market.Platform("oidc").Inject(withMember("scope", "openid profile").Times(0))
		w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"openid", "orders", "profile"} })
		w.start()
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonScopesReduced)
	},
	"more-scopes-than-consented": func(w *world) {
		w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
		w.start()
		w.signedIn("oidc")
		w.edit(func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Scopes = []v1alpha1.Scope{"openid", "offline_access", "orders"}
		})
		w.expectSignInRequired()
		w.expectReady()
	},
	"another-seller-first": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken, withAccountID("another"))
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	},
	"another-seller-signed-in-former-goes-on": func(w *world) {
		market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
		w.start()
		w.signedIn("oidc")
		w.annotate(v1alpha1.AnnotationSignIn, "again")
		_, err := w.browser().signIn("oidc", w.link(), demomarket.Person{SellerID: market.OtherSeller().ID})
		w.Expect(err).To(HaveOccurred())
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	},
	"renewed-as-another-seller": func(w *world) {
		platform := w.bytesPlatform(0, func(m *v1alpha1.Marketplace) { m.Spec.TokenResponse.Fields.AccountID = "seller" })
		platform.says(sellersAnswer("an answer field", "seller-1", 1))
		w.renewing(platform, sellersAnswer("an answer field", "seller-2", 2))
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	},
	"duplicate-account": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Name = "a-first" })
		w.start()
		w.Eventually(func() string { return w.conditionOf("a-first", v1alpha1.ConditionReady) }).Should(HavePrefix("True"))
		market := w.Market.Platform("ebay")
		w.secret("import-2", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		w.account("ebay", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.RefreshToken.SecretRef.Name = "import-2" })
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonDuplicateAccount)
	},
	"answer-lost-token-rests": func(w *world) {
		w.renewing(w.bytesPlatform(0), badGateway)
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	},
	"answer-lost-never-sent-again": func(w *world) {
		w.renewing(w.bytesPlatform(0, func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.LostAnswer = v1alpha1.LostAnswerNever }), badGateway)
		w.expect(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	},
	"answer-lost-last-resort-failed": func(w *world) {
		platform := w.bytesPlatform(0)
		w.renewing(platform, slices.Repeat([]said{{acts: false, raw: badGateway.raw}}, 200)...)
		w.passUntil(w.get().Status.AccessToken.ExpirationTime.Time)
		w.pass(time.Minute)
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRenewalOutcomeUnknown)
	},
	"restored-from-a-backup": func(w *world) {
		w.restore(w.renewedSince("allegro", v1alpha1.GrantRefreshToken))
		w.start()
		w.passUntil(w.renewalTime())
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	},
	"marketplace-unavailable-token-good": func(w *world) {
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Market.Platform("allegro").Down(0)
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	},
	"marketplace-unavailable-token-expired": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Market.Platform("ebay").Down(0)
		w.passUntil(w.renewalTime())
		w.passUntil(w.get().Status.AccessToken.ExpirationTime.Time)
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable)
	},
	"rate-limited": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Market.Platform("ebay").Inject(demomarket.Throttle(3000).Times(0))
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)
	},
	"marketplace-not-found": func(w *world) {
		w.application()
		w.account("nowhere", v1alpha1.GrantClientCredentials)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceNotFound)
	},
	"marketplace-removed-token-good": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Delete(w.GetMarketplace("ebay"))
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceNotFound)
	},
	"secret-not-found": func(w *world) {
		w.marketplace("ebay")
		w.account("ebay", v1alpha1.GrantClientCredentials)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	},
	"secret-removed-token-good": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Delete(w.readSecret("app"))
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretNotFound)
	},
	"secret-invalid": func(w *world) {
		w.marketplace("ebay")
		w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID})
		w.account("ebay", v1alpha1.GrantClientCredentials)
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	},
	"new-refresh-token-unreadable-former-goes-on": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.editSecret("import", map[string]string{"refresh_token": `"in quotation marks"`})
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
	},
	"secret-conflict": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.secret("main-token", map[string]string{"key": "value"})
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	},
	"secret-conflict-token-good": func(w *world) {
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.traffic.refusing(func(request *http.Request) *http.Response {
			if !writesTo(request, "main-token") {
				return nil
			}
			return refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		})
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretConflict)
	},
	"invalid-spec": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantClientCredentials, func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Parameters = []v1alpha1.Parameter{{Name: "region", Value: "eu"}}
		})
		w.start()
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	},
	"clock-skewed": func(w *world) {
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.Market.Platform("allegro").SetClockAhead(-5 * time.Minute)
		w.start()
		w.expectAuthenticated()
		w.passRenewal()
		w.passRenewal()
		w.expect(v1alpha1.ConditionClockSkewed, metav1.ConditionTrue, v1alpha1.ReasonClockSkewed)
	},
	"suspended-token-good": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.edit(suspended)
	},
	"suspended-token-expired": func(w *world) {
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.edit(suspended)
		w.pass(3 * time.Hour)
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	},
	"authorization-ends-in-13-days": func(w *world) { w.consentEnds(13 * day) },
	"authorization-ends-in-6-days":  func(w *world) { w.consentEnds(6 * day) },
	"authorization-ends-today":      func(w *world) { w.consentEnds(20 * time.Hour) },
	"authorization-expired":         func(w *world) { w.consentEnds(-time.Hour) },
	"client-secret-ends-in-20-days": func(w *world) { w.clientSecretEnds(20 * day) },
	"client-secret-ends-in-3-days":  func(w *world) { w.clientSecretEnds(3 * day) },
}

// endless has an account whose token does not end by itself.
func (w *world) endless() *platform {
	w.T.Helper()
	p := newPlatform(w.T, `{"access_token":"shpat-1","scope":""}`)
	w.marketplace("oidc", p.at(func(s *v1alpha1.MarketplaceSpec) {
		s.Scopes.Default = nil
		s.AccessToken = v1alpha1.AccessToken{Expiry: v1alpha1.AccessTokenExpiryNone}
	}))
	w.secret("app", map[string]string{"client_id": "demo-client", "client_secret": "demo-client-secret"})
	w.account("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signInAt("")
	w.expectAuthenticated()
	return p
}

func suspended(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }

// inNamespace lists the accounts of one namespace alone.
type inNamespace struct {
	client.Reader
	namespace string
}

func (r inNamespace) List(ctx context.Context, list client.ObjectList, _ ...client.ListOption) error {
	return r.Reader.List(ctx, list, client.InNamespace(r.namespace))
}

// revoked ends the grant at the platform, of which the operator hears by a renewal.
func (w *world) revoked(platform string) {
	w.T.Helper()
	w.Market.Platform(platform).RevokeGrants()
	w.pass(time.Minute)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
}

// consentEnds has an account at eBay, whose consents end 13140 hours after they were given.
func (w *world) consentEnds(after time.Duration) {
	w.T.Helper()
	w.marketplace("ebay")
	w.application()
	market := w.Market.Platform("ebay")
	w.secret("import", map[string]string{
		"refresh_token": market.Grant(market.Seller().ID), "granted_at": w.clock.Now().Add(after - 13140*time.Hour).Format(time.RFC3339),
	})
	w.account("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	reason := v1alpha1.ReasonAuthorizationExpiring
	if after < 0 {
		reason = v1alpha1.ReasonAuthorizationExpired
	}
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, reason)
}

// clientSecretEnds has an account whose client secret ends so soon.
func (w *world) clientSecretEnds(after time.Duration) {
	w.T.Helper()
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.editSecret("app", map[string]string{"client_secret_expires_at": w.clock.Now().Add(after).Format(time.RFC3339)})
	w.start()
	w.expectAuthenticated()
	w.Expect(w.get().Status.Application).NotTo(BeNil())
}

// held is for how long a situation lasts before it is judged what fires.
func held(name string) time.Duration {
	if name == "waits-for-the-operator" {
		return 36 * time.Minute // that is what the alert waits for
	}
	if name == "sign-in-pending" {
		return 9 * time.Minute // a visit of ten minutes
	}
	return 18 * time.Minute
}

// TestStatusesAndWhoActs brings an account into each state of docs/who-acts.md. Its status is that of test/statuses, with which other suites
// work, and of the metrics that are scraped meanwhile Prometheus makes the alerts of that page.
func TestStatusesAndWhoActs(t *testing.T) {
	t.Parallel()
	rows := statuses.Table(t, "../..")
	var scraped scrapedStories
	t.Run("in", func(t *testing.T) {
		for name, tell := range situations {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				tell(w)
				if w.queue.Load() != nil {
					w.settle()
				}
				w.recordOrCompare(name)
				row, there := rows[name]
				if !there {
					t.Fatalf("docs/who-acts.md has no row for %s", name)
				}
				scrapes := w.scraper()
				scrapes.look()
				for range 3 {
					if w.queue.Load() != nil {
						w.pass(held(name) / 3)
					} else {
						w.clock.Step(held(name) / 3)
					}
					scrapes.look()
				}
				check := promtool.Check{Minute: scrapes.minute()}
				for _, sentence := range row.Alerts {
					check.Firing = append(check.Firing, w.firing(sentence))
				}
				scraped.add(scrapes.story(name, check))
			})
		}
	})
	promtool.PlayTogether(t, alertRules, scraped.told...)
	for name := range rows {
		if situations[name] == nil {
			t.Errorf("docs/who-acts.md has a row for %s, which no story tells", name)
		}
	}
}

var addresses = regexp.MustCompile(`https?://127\.0\.0\.1:\d+`)

// recordOrCompare compares the account with the recorded one, or records it: without what differs from run to run, and without keys.
func (w *world) recordOrCompare(name string) {
	w.T.Helper()
	account := w.get()
	kept := &v1alpha1.MarketplaceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "MarketplaceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name, Generation: account.Generation},
		Spec:       account.Spec, Status: account.Status,
	}
	text, err := yaml.Marshal(kept)
	w.Expect(err).NotTo(HaveOccurred())
	said := strings.ReplaceAll(string(text), w.Namespace+"-", "")
	said = strings.ReplaceAll(said, w.Namespace, "shop")
	said = addresses.ReplaceAllString(said, "https://marketplace.example.com")
	if shown := account.Status.SignIn; shown != nil {
		said = regexp.MustCompile(`ticket=[^\s'"&]+`).ReplaceAllString(said, "ticket=left-out")
		if shown.UserCode != "" {
			said = strings.ReplaceAll(said, shown.UserCode, "LEFT-OUT")
		}
	}
	path := filepath.Join("../../test/statuses", name+".yaml")
	if *recordStatuses {
		w.Expect(os.WriteFile(path, []byte(said), 0o600)).To(Succeed())
		return
	}
	recorded := statuses.Read(w.T, "../..", name)
	w.Expect(summary(account)).To(Equal(summary(recorded)), "the status is not that of %s any more; go test ./internal/controller -run TestStatuses -args -record-statuses writes it anew", path)
}

// summary is what others judge a status by.
func summary(account *v1alpha1.MarketplaceAccount) []string {
	said := []string{"policy " + string(account.Spec.Renewal.Policy)}
	for _, condition := range account.Status.Conditions {
		said = append(said, fmt.Sprintf("%s %s %s", condition.Type, condition.Status, condition.Reason))
	}
	if token := account.Status.AccessToken; token != nil {
		said = append(said, fmt.Sprintf("token, renewed: %t", !token.RenewalTime.IsZero()))
	}
	if authorization := account.Status.Authorization; authorization != nil {
		said = append(said, fmt.Sprintf("authorization, days: %t", authorization.DaysRemaining != nil))
	}
	if account.Status.Application != nil {
		said = append(said, "client secret that ends")
	}
	if shown := account.Status.SignIn; shown != nil {
		said = append(said, "sign-in, code: "+cmp.Or(strings.Repeat("yes", min(1, len(shown.UserCode))), "no"))
	}
	slices.Sort(said)
	return said
}
