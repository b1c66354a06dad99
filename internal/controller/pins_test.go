package controller_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// These stories renew the tokens of one seller and get those of another.

// jwtOf is a token with these claims that no one has signed.
func jwtOf(claims string) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"RS256"}`) + "." + part(claims) + "." + part("signature")
}

// sellersAnswer is an answer whose tokens belong to a seller, told in one of three ways.
func sellersAnswer(way, seller string, n int) said {
	token, more := fmt.Sprintf("AT%d-xxxxxxxxxxxxxxxxxxxx", n), ""
	claims := fmt.Sprintf(`{"iss":"https://login.example.com","sub":%q,"n":%d}`, seller, n)
	switch way {
	case "a claim":
		token = jwtOf(claims)
	case "the ID token", "the subject of the ID token":
		more = fmt.Sprintf(`,"id_token":%q`, jwtOf(claims))
	default:
		more = fmt.Sprintf(`,"seller":%q`, seller)
	}
	return said{true, func(good string) string {
		return respond(200, "application/json", fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":3600,"refresh_token":"RT%d"%s}`, token, n, more))("")
	}}
}

func TestARenewalThatBringsAnotherSellersTokens(t *testing.T) {
	t.Parallel()
	for way, tell := range map[string]func(*v1alpha1.Marketplace){
		"an answer field":             func(m *v1alpha1.Marketplace) { m.Spec.TokenResponse.Fields.AccountID = "seller" },
		"a claim":                     func(m *v1alpha1.Marketplace) { m.Spec.Identity.AccessTokenClaim = "sub" },
		"the ID token":                func(m *v1alpha1.Marketplace) { m.Spec.Identity.IDTokenClaim = "sub" },
		"the subject of the ID token": func(*v1alpha1.Marketplace) {},
	} {
		t.Run("told by "+way, func(t *testing.T) {
			w := newWorld(t)
			platform := w.bytesPlatform(0, tell)
			platform.says(sellersAnswer(way, "seller-1", 1))
			at := w.renewing(platform, sellersAnswer(way, "seller-2", 2))
			published := w.token()["access_token"]
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
			w.Expect(message).To(And(ContainSubstring("seller-2"), ContainSubstring("seller-1")))
			w.expectReady()
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
			w.Expect(w.custody().Aside.RefreshToken).To(Equal("RT2"), "the only copy of a pair is lost")

			w.start()
			w.annotate(v1alpha1.AnnotationRenew, "again")
			w.pass(2 * time.Hour)
			w.Expect(platform.sentSince(at)).To(HaveLen(1), "something was sent for the wrong seller")
			w.Expect(w.token()["access_token"]).To(Equal(published))
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
			if way == "the subject of the ID token" {
				return
			}
			// It was a move, and the spec says so.
			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "seller-2" })
			platform.says(sellersAnswer(way, "seller-2", 3))
			w.expectReady()
			w.expectAuthenticated()
			w.Expect(w.token()["access_token"]).NotTo(Equal(published))
			w.Expect(platform.sentSince(at)[1].token).To(Equal("RT2"))
		})
	}
}

// TestARenewalWithAnotherSellersTokensWhereTheRefreshTokenStays may be tried again, since nothing was spent.
func TestARenewalWithAnotherSellersTokensWhereTheRefreshTokenStays(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0, func(m *v1alpha1.Marketplace) {
		m.Spec.TokenResponse.Fields.AccountID = "seller"
		m.Spec.RefreshToken.Rotation = v1alpha1.RotationStatic
	})
	stays := func(seller string, n int) said {
		return said{false, respond(200, "application/json", fmt.Sprintf(`{"access_token":"AT%d-xxxxxxxxxxxxxxxxxxxx","expires_in":3600,"seller":%q}`, n, seller))}
	}
	platform.says(stays("seller-1", 1))
	at := w.renewing(platform, stays("seller-2", 2))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.pass(30 * time.Minute)
	w.Expect(platform.sentSince(at)).To(HaveLen(1))
	platform.says(stays("seller-1", 3))
	w.annotate(v1alpha1.AnnotationRenew, "mended there")
	w.expectAuthenticated()
	w.Expect(w.token()).To(HaveKeyWithValue("access_token", "AT3-xxxxxxxxxxxxxxxxxxxx"))
	w.Expect(w.custody().Aside).To(BeNil())
}

// TestAMarketplaceThatTellsTheAccountInAnotherWay changes nothing about whose the tokens are.
func TestAMarketplaceThatTellsTheAccountInAnotherWay(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0, func(m *v1alpha1.Marketplace) { m.Spec.TokenResponse.Fields.AccountID = "seller" })
	platform.says(sellersAnswer("an answer field", "seller-1", 1))
	w.start()
	w.expectReady()
	w.EditMarketplace("bytes", func(m *v1alpha1.Marketplace) {
		m.Spec.TokenResponse.Fields.AccountID, m.Spec.Identity.AccessTokenClaim = "", "sub"
	})
	platform.says(sellersAnswer("a claim", "44130512", 2))
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() string { return w.token()["account_id"] }).Should(Equal("44130512"))
	w.expectAuthenticated()
}
