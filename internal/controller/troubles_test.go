package controller_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestRefusedPasswordIsTriedOnce(t *testing.T) {
	w := newWorld(t)
	w.marketplace("xsale")
	w.application()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": "a-wrong-password"})
	w.account("xsale", v1alpha1.GrantPassword)
	w.start()
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
	w.Expect(message).To(And(ContainSubstring("xSale refuses user name or password"), ContainSubstring(`Secret "login"`)))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonPasswordRejected)
	w.Eventually(w.events).Should(Equal([]string{"Warning RenewalFailed"}))

	w.pass(48 * time.Hour)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before = "30m" })
	w.start()
	w.pass(time.Hour)
	w.Expect(w.calls("xsale")).To(Equal(1), "platforms lock accounts")

	w.editSecret("login", map[string]string{"password": demomarket.DefaultPassword})
	w.expectReady()
	w.Expect(w.calls("xsale")).To(Equal(2))
	w.Expect(w.get().Status.LastFailure).To(BeNil())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestLockedAccountWaitsForAPerson(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]demomarket.Outcome{
		"locked": demomarket.UserLocked, "second factor": demomarket.MFARequired,
		"leaked password": demomarket.PasswordLeaked, "blocked": demomarket.UserBlocked,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Market.Platform("xsale").Inject(demomarket.Refuse(outcome).Times(0))
			w.prepare("xsale", v1alpha1.GrantPassword)
			w.start()
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountLocked)
			w.pass(24 * time.Hour)
			w.Expect(w.calls("xsale")).To(Equal(1))
		})
	}
}

func TestRefusedApplication(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"xsale", "allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace(platform)
			w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": "not-the-secret"})
			grant := v1alpha1.GrantRefreshToken
			if platform == "xsale" {
				grant = v1alpha1.GrantPassword
				w.login()
			} else {
				w.imported(platform)
			}
			w.account(platform, grant)
			w.start()
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
			w.Expect(message).To(ContainSubstring(`check client_id and client_secret in Secret "app"`))
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			w.pass(4 * time.Minute)
			w.Expect(w.calls(platform)).To(Equal(1))
			w.pass(24 * time.Hour)
			w.Expect(w.calls(platform)).To(Equal(2), "it asks again now and then")
			w.editSecret("app", map[string]string{"client_secret": demomarket.DefaultClientSecret})
			w.expectReady()
			w.Expect(w.calls(platform)).To(Equal(3))
			w.Expect(w.Market.Platform(platform).Report().DoubleSpends).To(BeZero())
		})
	}
}

func TestPreviousClientSecretBridgesARotation(t *testing.T) {
	w := newWorld(t)
	w.marketplace("amazon")
	w.imported("amazon")
	w.secret("app", map[string]string{
		"client_id": demomarket.DefaultClientID, "client_secret": "tomorrows-secret",
		"client_secret_previous": demomarket.DefaultClientSecret, "client_secret_expires_at": "2026-03-12T09:00:00Z",
	})
	w.account("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Expect(w.calls("amazon")).To(Equal(2), "the current secret first")
	w.Expect(*w.get().Status.Application.DaysRemaining).To(Equal(int32(10)))
	w.passRenewal()
	w.Expect(w.calls("amazon")).To(Equal(3), "then the one that worked")

	w.Market.Platform("amazon").SetClientSecret("tomorrows-secret", false)
	w.passRenewal()
	w.expectAuthenticated()
}

func TestDeadRefreshToken(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			w.prepare(platform, v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			token := w.token()
			market := w.Market.Platform(platform)
			market.RevokeGrants()
			due := w.renewalTime()
			w.passUntil(due)
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
			w.Expect(message).To(ContainSubstring(`it is not tried again until a new one is supplied (Secret "import")`))
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)

			// The token that is still good stays, and Ready with it.
			w.expectReady()
			w.Expect(w.token()).To(Equal(token))
			calls := w.calls(platform)
			w.pass(w.get().Status.AccessToken.ExpirationTime.Sub(w.clock.Now()) + time.Second)
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
			w.pass(24 * time.Hour)
			w.annotate(v1alpha1.AnnotationRenew, "please")
			w.Expect(w.calls(platform)).To(Equal(calls), "a dead grant is not asked for again")

			w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
			w.expectReady()
			w.expectAuthenticated()
			w.Expect(w.calls(platform)).To(Equal(calls + 1))
		})
	}
}

// TestBadAnswersPass: what is said of others is a table of internal/grant (bytes_test.go).
func TestBadAnswersPass(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		fault demomarket.Fault
		says  string
	}{
		"maintenance":        {demomarket.Maintenance(), "HTTP 503"},
		"two megabytes":      {demomarket.Huge(), "larger than 128 KiB"},
		"a hanging platform": {demomarket.Hang(), "did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("ebay", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			token := w.token()
			market := w.Market.Platform("ebay")
			injected := market.Inject(story.fault.Times(0))
			w.passUntil(w.renewalTime())
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
			w.Expect(message).To(And(ContainSubstring(story.says), ContainSubstring("next attempt not before")))
			w.expectReady()
			w.Expect(w.token()).To(Equal(token), "a failed renewal takes nothing away")

			// The wait grows, and a restart neither hammers nor forgets.
			w.Expect(w.get().Status.LastFailure.Count).To(Equal(int32(1)))
			hits := injected.Hits()
			w.start()
			w.Expect(injected.Hits()).To(Equal(hits))
			w.pass(12 * time.Second)
			w.Eventually(func() int32 { return w.get().Status.LastFailure.Count }).Should(Equal(int32(2)))
			w.pass(12 * time.Second)
			w.Expect(w.get().Status.LastFailure.Count).To(Equal(int32(2)), "20 s have not passed yet")
			w.pass(12 * time.Second)
			w.Eventually(func() int32 { return w.get().Status.LastFailure.Count }).Should(Equal(int32(3)))

			injected.Clear()
			w.pass(48 * time.Second)
			w.expectAuthenticated()
			w.Eventually(w.token).ShouldNot(Equal(token))
			w.Expect(w.get().Status.LastFailure).To(BeNil())
			w.Eventually(w.events).Should(Equal([]string{"Normal TokenIssued", "Warning RenewalFailed", "Normal TokenRenewed"}))
		})
	}
}

func TestMarketplaceThatStaysAway(t *testing.T) {
	w := newWorld(t)
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Market.Platform("ebay").Down(0)
	w.passUntil(w.renewalTime())
	w.expectReady()
	w.pass(w.get().Status.AccessToken.ExpirationTime.Sub(w.clock.Now()))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable)
	w.Market.Platform("ebay").Up()
	w.pass(13 * time.Minute)
	w.expectReady()
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	for name, throttle := range map[string]func(now time.Time) demomarket.Fault{
		"in seconds": func(time.Time) demomarket.Fault { return demomarket.Throttle(1800) },
		"as a date":  func(now time.Time) demomarket.Fault { return demomarket.ThrottleUntil(now.Add(30 * time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("amazon", v1alpha1.GrantRefreshToken)
			injected := w.Market.Platform("amazon").Inject(throttle(w.clock.Now()).Once())
			w.start()
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)
			w.start()
			w.pass(29 * time.Minute)
			w.Expect(w.calls("amazon")).To(Equal(1))
			w.Expect(injected.Hits()).To(Equal(1))
			w.pass(time.Minute + time.Second)
			w.expectReady()
			w.Expect(w.calls("amazon")).To(Equal(2))
		})
	}
}

// TestOddExpiryKeepsTheToken: how ends are read is a table of internal/marketplace (TestExpiries).
func TestOddExpiryKeepsTheToken(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]time.Duration{
		demomarket.ExpiresInAbsent: time.Hour, // as Amazon's manifest has it
		"0":                        10 * time.Minute,
	} {
		t.Run(raw, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("amazon", v1alpha1.GrantRefreshToken)
			w.Market.Platform("amazon").Inject(demomarket.ExpiresIn(raw).Times(0))
			w.start()
			w.expectReady()
			w.Expect(w.get().Status.AccessToken.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(want)))
			w.Expect(w.calls("amazon")).To(Equal(1))
		})
	}
}

func TestUntrustedCertificate(t *testing.T) {
	w := newWorld(t)
	w.callTimeout = time.Minute // a handshake takes a loaded machine seconds
	server := httptest.NewTLSServer(w.Market)
	t.Cleanup(server.Close)
	w.marketplace("amazon", func(m *v1alpha1.Marketplace) {
		m.Spec.Endpoints.Token = v1alpha1.URLTemplate(server.URL + "/amazon/auth/o2/token")
	})
	w.application()
	w.imported("amazon")
	w.account("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable)
	w.Expect(message).To(ContainSubstring("certificate is not trusted"))
	w.Expect(w.calls("amazon")).To(BeZero())
}

func TestReferencesThatDoNotHold(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		spoil  func(w *world, a *v1alpha1.MarketplaceAccount)
		reason string
		says   string
		mend   func(w *world)
	}{
		"no application Secret": {
			spoil:  func(w *world, a *v1alpha1.MarketplaceAccount) { a.Spec.ApplicationSecretRef.Name = "later" },
			reason: v1alpha1.ReasonSecretNotFound, says: `spec.applicationSecretRef: Secret "later" does not exist`,
			mend: func(w *world) {
				w.secret("later", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret})
			},
		},
		"an application Secret without a key": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				w.secret("half", map[string]string{"client_id": demomarket.DefaultClientID})
				a.Spec.ApplicationSecretRef.Name = "half"
			},
			reason: v1alpha1.ReasonSecretInvalid, says: `must have a non-empty key "client_secret"`,
			mend: func(w *world) {
				secret := w.readSecret("half")
				secret.Data["client_secret"] = []byte(demomarket.DefaultClientSecret)
				w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
			},
		},
		"an empty password": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				w.secret("blank", map[string]string{"username": demomarket.DefaultUser, "password": ""})
				a.Spec.Grant.Password.SecretRef.Name = "blank"
			},
			reason: v1alpha1.ReasonSecretInvalid, says: `must have a non-empty key "password"`,
			mend: func(w *world) { w.editSecret("blank", map[string]string{"password": demomarket.DefaultPassword}) },
		},
		"no password Secret": {
			spoil:  func(w *world, a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.Password.SecretRef.Name = "later" },
			reason: v1alpha1.ReasonSecretNotFound, says: `spec.grant.password.secretRef: Secret "later" does not exist`,
			mend: func(w *world) {
				w.secret("later", map[string]string{"username": demomarket.DefaultUser, "password": demomarket.DefaultPassword})
			},
		},
		"no Marketplace": {
			spoil:  func(w *world, a *v1alpha1.MarketplaceAccount) { a.Spec.MarketplaceRef.Name = w.Namespace + "-allegro" },
			reason: v1alpha1.ReasonMarketplaceNotFound, says: "there is no Marketplace",
			mend: func(w *world) {
				w.marketplace("xsale", func(m *v1alpha1.Marketplace) { m.Name = w.Namespace + "-allegro" })
			},
		},
		"no such environment": {
			spoil:  func(w *world, a *v1alpha1.MarketplaceAccount) { a.Spec.Environment = "Sandbox" },
			reason: v1alpha1.ReasonInvalidSpec, says: `has no environment "Sandbox"; it has Production`,
		},
		"no such parameter": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				a.Spec.Parameters = []v1alpha1.Parameter{{Name: "region", Value: "eu"}}
			},
			reason: v1alpha1.ReasonInvalidSpec, says: "declares no parameter region",
			mend: func(w *world) { w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Parameters = nil }) },
		},
		"a grant that is not offered": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantDeviceCode}
			},
			reason: v1alpha1.ReasonInvalidSpec, says: "does not offer DeviceCode; it offers Password",
		},
		"a template that does not parse": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{"x": "{{ .access_token"}}
			},
			reason: v1alpha1.ReasonInvalidSpec, says: "must be a Go template",
			mend: func(w *world) { w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.TokenSecret.Template = nil }) },
		},
		"a token Secret that belongs to someone else": {
			spoil: func(w *world, a *v1alpha1.MarketplaceAccount) {
				w.secret("main-token", map[string]string{"mine": "all mine"})
			},
			reason: v1alpha1.ReasonSecretConflict, says: `Secret "main-token" exists and does not belong to this account`,
			mend: func(w *world) {
				w.Expect(string(w.readSecret("main-token").Data["mine"])).To(Equal("all mine"))
				w.Delete(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "main-token", Namespace: w.Namespace}})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("xsale")
			w.application()
			w.login()
			w.account("xsale", v1alpha1.GrantPassword, func(a *v1alpha1.MarketplaceAccount) { story.spoil(w, a) })
			w.start()
			message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, story.reason)
			w.Expect(message).To(ContainSubstring(story.says))
			w.Expect(w.calls("xsale")).To(BeZero(), "nothing is asked in vain")
			if story.mend != nil {
				story.mend(w)
				w.expectReady()
				w.Expect(w.calls("xsale")).To(Equal(1))
			}
		})
	}
}

func TestWrongAccount(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "1" })
	w.start()
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(And(ContainSubstring(w.Market.Platform("allegro").Seller().ID), ContainSubstring("expected is 1")))
	w.hasNoSecret("main-token")
	w.Eventually(w.events).Should(Equal([]string{"Warning AccountMismatch"}))
	w.Expect(strings.Count(strings.Join(w.events(), ","), "TokenIssued")).To(BeZero())
}

// TestALoginThatIsRefusedLikeARefreshTokenIsNotRepeated has a Marketplace that tells them apart badly.
func TestALoginThatIsRefusedLikeARefreshTokenIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.marketplace("xsale", func(m *v1alpha1.Marketplace) {
		m.Spec.TokenResponse.Errors = []v1alpha1.ErrorMeaning{{Code: "invalid_grant", Reason: v1alpha1.ReasonGrantRejected}}
	})
	w.application()
	w.secret("login", map[string]string{"username": "nobody@example.com", "password": "wrong"})
	w.account("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	for range 5 {
		w.pass(time.Minute)
	}
	w.Expect(w.calls("xsale")).To(Equal(1))
}
