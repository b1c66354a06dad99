package controller_test

import (
	"net/http"
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestFirstTokensCost counts what a first token takes of the API server, the event that tells of it left out.
func TestFirstTokensCost(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		platform string
		grant    v1alpha1.GrantType
		reads    int // of Secrets that users wrote
		writes   int
	}{
		"of a password login":           {"xsale", v1alpha1.GrantPassword, 2, 3},
		"of an application's token":     {"ebay", v1alpha1.GrantClientCredentials, 1, 3},
		"with a static refresh token":   {"ebay", v1alpha1.GrantRefreshToken, 2, 4}, // once more after the request for its seller
		"with an echoed refresh token":  {"amazon", v1alpha1.GrantRefreshToken, 2, 3},
		"with a rotating refresh token": {"allegro", v1alpha1.GrantRefreshToken, 2, 4},
		"with a single-use one":         {"oidc", v1alpha1.GrantRefreshToken, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			w.traffic.reset()
			w.prepare(story.platform, story.grant)
			w.expectReady()
			w.settle()
			t.Logf("%d writes, %d reads: %v", w.traffic.writes(), w.traffic.reads(), w.traffic.counted())
			w.Expect(w.traffic.reads()).To(Equal(story.reads), "%v", w.traffic.counted())
			w.Expect(w.traffic.writes()).To(Equal(story.writes), "%v", w.traffic.counted())
		})
	}
}

// TestAGrantSecretThatNoCacheShows: a second operator has stored a grant while the first one asks for the first tokens of an account, whose grant Secret it
// does not read before. Nothing of the stored grant is lost, whatever the answer.
func TestAGrantSecretThatNoCacheShows(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]demomarket.Fault{
		"and tokens come":        nil,
		"and tokens are refused": {demomarket.Refuse(demomarket.InvalidGrant).Once()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("ebay", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.settle()
			w.stop()
			kept := w.custody()
			for _, secret := range []string{"main-grant", "main-token"} {
				w.Delete(w.readSecret(secret))
			}
			w.Delete(w.get())

			account := w.account("ebay", v1alpha1.GrantRefreshToken)
			kept.Serial, kept.Witness = 5, custody.Witness{Account: account.UID}
			stored, err := tokensecret.EncodeCustody(account, tokensecret.OwnerOf(account), kept, nil)
			w.Expect(err).NotTo(HaveOccurred())
			calls := w.calls("ebay")
			for _, fault := range faults {
				w.Market.Platform("ebay").Inject(fault)
			}
			var once sync.Once
			w.traffic.refusing(func(request *http.Request) *http.Response {
				if writesTo(request, "") {
					once.Do(func() { w.Expect(kube.Create(t.Context(), stored)).To(Succeed()) })
				}
				return nil
			})
			w.begin()
			w.Eventually(func() map[string]string { return w.FindSecret("main-token") }).Should(HaveKeyWithValue("access_token", kept.Tokens.AccessToken))
			w.settle()
			w.expectReady()
			w.Expect(w.calls("ebay")).To(Equal(calls+1), "asked once, before it could be known")
			now := w.custody()
			w.Expect(now.Grant).To(Equal(kept.Grant))
			w.Expect(now.Refused).To(BeNil())
			w.Expect(now.RefusedImport).To(BeNil())
		})
	}
}
