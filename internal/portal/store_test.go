package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const storeQuery = "amazon_callback_uri=https%3A%2F%2Fevil.example%2F&amazon_state=s&selling_partner_id=A2&ticket=theirs"

func at(marketplace string) change {
	return func(a *v1alpha1.MarketplaceAccount) { a.Spec.MarketplaceRef.Name = marketplace }
}

func newStore(t *testing.T) *world {
	return newWorld(t, marketplace("amazon", "Amazon"), marketplace("ebay", "eBay"),
		account("first", at("amazon"), func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "A1" }),
		account("sent", at("amazon"), func(a *v1alpha1.MarketplaceAccount) { a.Status.Account = &v1alpha1.AccountStatus{ID: "A2"} }),
		account("third", at("amazon"), stuck(v1alpha1.ReasonSignInRequired)),
		account("imported", at("amazon"), withGrant(v1alpha1.GrantRefreshToken)),
		account("elsewhere", at("ebay")),
		account("of-others", at("amazon"), in("other")),
	)
}

func TestAStoreSendsSomebody(t *testing.T) {
	w := newStore(t)
	visitor := w.browser()
	asked := visitor.get("/sign-in/amazon?"+storeQuery, "Sec-Fetch-Site", "cross-site").expect(t, http.StatusOK, "Access token")
	form, _ := formTo(asked.text, "/session")
	form.Set("token", clerkToken)
	page := visitor.follow(visitor.post("/session", form)).expect(t, http.StatusOK, "Amazon has sent you here.", "The seller with whom you came from Amazon")
	got, _ := cards(page.text)
	if diff := cmp.Diff([]string{"shop/sent", "shop/third", "shop/first"}, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(page.text, `href="https://evil.example`) {
		t.Error("the page leads where the store says")
	}
	chosen := visitor.press(page, "/sign-in/amazon")
	link, err := url.Parse(chosen.location)
	if err != nil || link.Path != "/sign-in/shop/sent" || !strings.HasPrefix(chosen.location, string(w.address)+"/") || !slices.Equal(link.Query()["ticket"], []string{goodTicket}) {
		t.Fatalf("it leads to %q", chosen.location)
	}
	offer := visitor.follow(chosen).expect(t, http.StatusOK, "Continue to Allegro")
	visitor.press(offer, "/sign-in/shop/sent").expect(t, http.StatusOK)
	want := url.Values{"amazon_callback_uri": {"https://evil.example/"}, "amazon_state": {"s"}, "selling_partner_id": {"A2"}}
	if diff := cmp.Diff(want, w.signIns.store); diff != "" {
		t.Error(diff)
	}
}

func TestAStoreFindsNoAccount(t *testing.T) {
	w := newStore(t)
	for token, marketplace := range map[string]string{nobodyToken: "amazon", viewerToken: "amazon", clerkToken: "no-such-marketplace"} {
		w.enter(token).get("/sign-in/"+marketplace+"?"+storeQuery).expect(t, http.StatusOK, "There is no account at").without(t, "<article")
	}
}

func TestChoicesThatAreNone(t *testing.T) {
	w := newStore(t)
	clerk := w.enter(clerkToken)
	own, _ := formTo(clerk.get("/sign-in/amazon").text, "/sign-in/amazon")
	for account, status := range map[string]int{
		"other/of-others":      http.StatusForbidden,
		"shop/imported":        http.StatusBadRequest,
		"shop/elsewhere":       http.StatusBadRequest,
		"shop/no-such-account": http.StatusNotFound,
		"":                     http.StatusBadRequest,
		"shop":                 http.StatusBadRequest,
		"shop/../other":        http.StatusBadRequest,
	} {
		form := url.Values{"form": own["form"], "account": {account}}
		if a := clerk.post("/sign-in/amazon", form); a.status != status {
			t.Errorf("%q gives %d, want %d", account, a.status, status)
		}
	}
	clerk.post("/sign-in/amazon", url.Values{"form": own["form"], "account": {"shop/first"}, "store": {"a=%zz"}}).expect(t, http.StatusBadRequest)
	if n := w.signIns.count("Invite"); n != 0 {
		t.Errorf("%d tickets were made", n)
	}
	w.enter(viewerToken).post("/sign-in/amazon", url.Values{
		"form": {w.formToken(viewerToken, "/sign-in/amazon")}, "account": {"shop/first"},
	}).expect(t, http.StatusForbidden)
}
