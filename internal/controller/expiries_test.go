package controller_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// TestEndsOfTokensAreReadOrSaidToBeUnreadable has a platform tell an end ten minutes ahead, or nothing that anybody understands. A token is never
// published for longer than it may live. How ends are read is a table of internal/marketplace.
func TestEndsOfTokensAreReadOrSaidToBeUnreadable(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for name, story := range map[string]struct {
		unit     v1alpha1.ExpiryUnit
		lifetime v1alpha1.Duration
		told     string // raw JSON
		want     time.Duration
		readable bool
	}{
		"a zone without a colon":             {"RFC3339", "2h", `"2026-03-02T09:08:00+0000"`, 8 * time.Minute, true},
		"no zone":                            {"RFC3339", "2h", `"2026-03-02T09:08:00"`, 10 * time.Minute, false},
		"no zone, where tokens live shorter": {"RFC3339", "5m", `"2026-03-02T09:08:00"`, 5 * time.Minute, false},
		"milliseconds for seconds":           {"Seconds", "2h", `7200000`, 10 * time.Minute, false},
		"an empty text":                      {"Seconds", "2h", `""`, 10 * time.Minute, false},
		"nothing":                            {"Seconds", "2h", demomarket.ExpiresInAbsent, 2 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("ebay", func(m *v1alpha1.Marketplace) {
				m.Spec.TokenResponse.ExpiryUnit = story.unit
				m.Spec.AccessToken.Lifetime = story.lifetime
			})
			w.application()
			w.imported("ebay")
			w.Market.Platform("ebay").Inject(demomarket.ExpiresIn(story.told).Once())
			w.account("ebay", v1alpha1.GrantRefreshToken)
			w.start()
			message := w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
			w.Expect(w.get().Status.AccessToken.ExpirationTime.Time).To(BeTemporally("==", start.Add(story.want)))
			w.Expect(w.token()["expires_at"]).To(Equal(start.Add(story.want).Format(time.RFC3339)))
			if story.readable {
				w.Expect(message).NotTo(ContainSubstring("cannot be read"))
			} else {
				w.Expect(message).To(ContainSubstring("the marketplace tells its end in a way that cannot be read"))
			}
			w.passRenewal() // of which the end is told as it should be
			w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).NotTo(ContainSubstring("unreadable"))
		})
	}
}

// TestEndOfAnAuthorizationThatCannotBeRead counts by the Marketplace's rule, and says so.
func TestEndOfAnAuthorizationThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", func(m *v1alpha1.Marketplace) { m.Spec.TokenResponse.Fields.RefreshTokenExpiresIn = "expires_in" })
	w.application()
	w.imported("ebay")
	w.Market.Platform("ebay").Inject(demomarket.ExpiresIn(`"soon"`).Once())
	w.account("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(message).To(ContainSubstring("the marketplace tells the end in a way that cannot be read"))
	w.Expect(w.get().Status.Authorization.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(13140*time.Hour)))
}
