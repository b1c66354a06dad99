package controller_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// TestTheKeyThatAMarketplaceNamesIsSentAsTheClient has the platform's name of the application in a key of the Secret that no other
// Marketplace knows.
func TestTheKeyThatAMarketplaceNamesIsSentAsTheClient(t *testing.T) {
	w := newWorld(t)
	w.marketplace("amazon", func(marketplace *v1alpha1.Marketplace) {
		marketplace.Spec.AuthorizationRequest.ClientIDKey = "service_id"
	})
	market := w.Market.Platform("amazon")
	market.AddRedirectURI(demomarket.DefaultClientID, w.portal.Callback(w.Namespace+"-amazon"))
	market.SetApplicationID(demomarket.DefaultClientID, "amzn1.sellerapps.app.1")
	w.secret("app", map[string]string{
		"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret, "service_id": "amzn1.sellerapps.app.1",
	})
	w.account("amazon", v1alpha1.GrantAuthorizationCode)
	w.start()
	browser := w.browser()
	visit, err := browser.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	_, err = browser.comeBack(browser.consent("amazon", visit, demomarket.Person{}))
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
}
