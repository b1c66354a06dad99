package portal_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestActionsAreAnnotations(t *testing.T) {
	for action, test := range map[string]struct{ annotation, notice string }{
		"renew":   {v1alpha1.AnnotationRenew, "A renewal was asked for and is not done yet."},
		"verify":  {v1alpha1.AnnotationVerify, "A test was asked for and is not done yet."},
		"sign-in": {v1alpha1.AnnotationSignIn, "A code for signing in was asked for and is not here yet."},
	} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t, account("main", withGrant(v1alpha1.GrantDeviceCode), func(a *v1alpha1.MarketplaceAccount) {
				a.Annotations = map[string]string{"mine": "stays", v1alpha1.AnnotationRenew: "before"}
				a.Status.Handled = &v1alpha1.HandledStatus{Renew: "before"}
			}))
			before := w.cluster.account(t, "shop", "main")
			clerk := w.enter(clerkToken)
			w.clock.SetTime(noon.Add(1500 * time.Millisecond))
			done := clerk.press(clerk.get("/"), "/accounts/shop/main/"+action)
			if done.location != "/?account=shop%2Fmain&notice="+action {
				t.Errorf("it leads to %q", done.location)
			}
			clerk.follow(done).expect(t, http.StatusOK, test.notice)
			after := w.cluster.account(t, "shop", "main")
			want := before.DeepCopy()
			want.Annotations[test.annotation] = "2026-12-01T12:00:01.5Z"
			want.ResourceVersion = after.ResourceVersion
			if diff := cmp.Diff(want, after); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatWasAskedForIsShown(t *testing.T) {
	w := newWorld(t, account("main", func(a *v1alpha1.MarketplaceAccount) {
		a.Annotations = map[string]string{v1alpha1.AnnotationRenew: "2", v1alpha1.AnnotationVerify: "1"}
		a.Status.Handled = &v1alpha1.HandledStatus{Renew: "1", Verify: "1"}
	}), account("done", func(a *v1alpha1.MarketplaceAccount) {
		a.Annotations = map[string]string{v1alpha1.AnnotationRenew: "2"}
		a.Status.Handled = &v1alpha1.HandledStatus{Renew: "2"}
	}))
	_, texts := cards(w.enter(clerkToken).get("/").text)
	if !strings.Contains(texts["allegro, shop/main"], "A renewal was asked for and is not done yet.") || strings.Contains(texts["allegro, shop/main"], "A test was asked for") {
		t.Error(texts["allegro, shop/main"])
	}
	if strings.Contains(texts["allegro, shop/done"], "asked for") {
		t.Error(texts["allegro, shop/done"])
	}
}

func TestWhoMayNotPatchChangesNothing(t *testing.T) {
	w := newWorld(t, account("main"), account("main", in("other")))
	stories := map[string]struct{ token, namespace, name string }{
		"a viewer":                       {viewerToken, "shop", "main"},
		"a clerk of another shop":        {clerkToken, "other", "main"},
		"somebody without any right":     {nobodyToken, "shop", "main"},
		"a guess at a name elsewhere":    {clerkToken, "other", "no-such-account"},
		"a guess at a namespace":         {clerkToken, "no-such-namespace", "main"},
		"a name that is another's right": {nobodyToken, "shop", "no-such-account"},
	}
	var texts []string
	for sentence, story := range stories {
		t.Run(sentence, func(t *testing.T) {
			visitor := w.enter(story.token)
			for _, action := range []string{"renew", "verify", "sign-in"} {
				path := "/accounts/" + story.namespace + "/" + story.name + "/" + action
				visitor.get("/").without(t, path)
				a := visitor.post(path, url.Values{"form": {w.formToken(story.token, path)}}).expect(t, http.StatusForbidden, "You may not do that")
				texts = append(texts, a.text)
			}
		})
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Error("the answer tells whether there is such an account")
		}
	}
	for _, namespace := range []string{"shop", "other"} {
		if got := w.cluster.account(t, namespace, "main").Annotations; len(got) != 0 {
			t.Errorf("the account of %s was annotated: %v", namespace, got)
		}
	}
	if n := w.signIns.count(""); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestARightIsAskedForEachTime(t *testing.T) {
	w := newWorld(t, account("main"))
	w.cluster.rights["clerk"] = []string{"list shop/", "patch shop/main"}
	clerk := w.enter(clerkToken)
	page := clerk.get("/")
	w.cluster.rights["clerk"] = []string{"list shop/"}
	clerk.press(page, "/accounts/shop/main/renew").expect(t, http.StatusForbidden)
	if got := w.cluster.account(t, "shop", "main").Annotations; len(got) != 0 {
		t.Errorf("the account was annotated: %v", got)
	}
}

func TestAnAccountThatIsGone(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	page := clerk.get("/")
	if err := w.cluster.Delete(t.Context(), account("main")); err != nil {
		t.Fatal(err)
	}
	clerk.press(page, "/accounts/shop/main/renew").expect(t, http.StatusNotFound)
}

func testedAs(result v1alpha1.ConnectionTestResult) change {
	return func(a *v1alpha1.MarketplaceAccount) {
		a.Status.ConnectionTest = &v1alpha1.ConnectionTestStatus{Time: metav1.NewTime(noon), Result: result}
	}
}

func TestButtonsFitTheGrant(t *testing.T) {
	code := func(a *v1alpha1.MarketplaceAccount) {
		a.Status.SignIn = &v1alpha1.SignInStatus{
			URL: "https://market.example/device?code=AB", UserCode: "AB-CD", ExpirationTime: metav1.NewTime(noon.Add(10 * time.Minute)),
		}
	}
	for sentence, test := range map[string]struct {
		account       *v1alpha1.MarketplaceAccount
		has, hasNot   []string
		hasNotActions []string
	}{
		"a browser signs in": {
			account("main", withGrant(v1alpha1.GrantAuthorizationCode)),
			[]string{"Sign in again", "Renew now", "Test connection"}, nil, nil,
		},
		"nobody has signed in yet": {
			account("main", stuck(v1alpha1.ReasonSignInRequired), func(a *v1alpha1.MarketplaceAccount) { a.Status.AccessToken = nil }),
			[]string{`<button class="main">Sign in</button>`}, []string{"Sign in again"}, []string{"renew", "verify"},
		},
		"a person signs in, and the token at hand still works": {
			account("main", stuck(v1alpha1.ReasonGrantRejected), says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)),
			[]string{`<button class="main">Sign in again</button>`, "Test connection"}, nil, []string{"renew"},
		},
		"a marketplace at which nothing can be tested": {
			account("main", testedAs(v1alpha1.ConnectionTestUnsupported)),
			[]string{"Renew now", "The connection cannot be tested at allegro."}, nil, []string{"verify"},
		},
		"a test that failed": {
			account("main", testedAs(v1alpha1.ConnectionTestFailed)),
			[]string{`class="warn"`, "Test connection", "Tested at 12:00 UTC: failed."}, []string{"Everything is in order."}, nil,
		},
		"a device, without a code": {
			account("main", withGrant(v1alpha1.GrantDeviceCode)), []string{"Sign in again", "Renew now"}, []string{"Enter this code"}, nil,
		},
		"a device, with a code": {
			account("main", withGrant(v1alpha1.GrantDeviceCode), code),
			[]string{"<code>AB-CD</code>", `href="https://market.example/device?code=AB"`, "still works for 10 minutes", "Enter this code at allegro:", "Renew now"}, nil, []string{"sign-in"},
		},
		"a device, with a code that is over": {
			account("main", withGrant(v1alpha1.GrantDeviceCode), code, func(a *v1alpha1.MarketplaceAccount) {
				a.Status.SignIn.ExpirationTime = metav1.NewTime(noon)
			}),
			[]string{"Sign in again"}, []string{"AB-CD"}, nil,
		},
		"a password":        {account("main", withGrant(v1alpha1.GrantPassword)), []string{"Renew now", "Test connection"}, nil, []string{"sign-in"}},
		"an imported token": {account("main", withGrant(v1alpha1.GrantRefreshToken)), []string{"Renew now", "Test connection"}, nil, []string{"sign-in"}},
		"no person":         {account("main", withGrant(v1alpha1.GrantClientCredentials)), []string{"Renew now", "Test connection"}, nil, []string{"sign-in"}},
		"renewal is suspended": {
			account("main", func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }),
			[]string{"Renewal is switched off: ask your administrator."}, nil, []string{"sign-in", "renew", "verify"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, test.account)
			page := w.enter(clerkToken).get("/").expect(t, http.StatusOK, test.has...).without(t, test.hasNot...)
			for _, action := range test.hasNotActions {
				page.without(t, "/accounts/shop/main/"+action)
			}
			w.enter(viewerToken).get("/").expect(t, http.StatusOK, "shop/main").without(t, "AB-CD", "market.example", "/accounts/")
		})
	}
}

func TestSigningInFromTheList(t *testing.T) {
	w := newWorld(t, account("main", stuck(v1alpha1.ReasonSignInRequired)))
	clerk := w.enter(clerkToken)
	invited := clerk.press(clerk.get("/"), "/accounts/shop/main/sign-in")
	if want := w.address.Link("shop", "main", goodTicket); invited.location != want {
		t.Errorf("it leads to %q, want %q", invited.location, want)
	}
	clerk.follow(invited).expect(t, http.StatusOK, "Continue to Allegro")
	if diff := cmp.Diff([]string{"Invite shop/main", "Offer"}, w.signIns.calls); diff != "" {
		t.Error(diff)
	}

	page := clerk.get("/")
	w.signIns.err = &signin.Error{Problem: signin.AccountUnready, Account: signin.Account{Namespace: "shop", Name: "main"}, Detail: "Secret \"a\" is missing"}
	clerk.press(page, "/accounts/shop/main/sign-in").expect(t, http.StatusConflict, "not ready for a sign-in", `Secret "a" is missing`)
	w.signIns.err = errors.New("no secret may be quoted")
	clerk.press(page, "/accounts/shop/main/sign-in").expect(t, http.StatusInternalServerError).without(t, "quoted")
}

// TestSigningInFromAListAtAnotherHost is how it is where the list is on an internal ingress, or reached by port-forward.
func TestSigningInFromAListAtAnotherHost(t *testing.T) {
	w := newWorldAt(t, func(string) signin.Address { return "https://tokens.example.com" }, account("main", stuck(v1alpha1.ReasonSignInRequired)))
	clerk := w.enter(clerkToken)
	list := clerk.get("/")
	if policy := list.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://tokens.example.com;") {
		t.Errorf("browsers do not follow the button, since the policy is %q", policy)
	}
	invited := clerk.press(list, "/accounts/shop/main/sign-in")
	if want := w.address.Link("shop", "main", goodTicket); invited.location != want {
		t.Errorf("it leads to %q, want %q", invited.location, want)
	}
}

func TestWithoutAnAddressTheListWorks(t *testing.T) {
	w := newWorldAt(t, func(string) signin.Address { return "" }, account("main", stuck(v1alpha1.ReasonPortalNotConfigured)), account("works"))
	clerk := w.enter(clerkToken)
	page := clerk.get("/").expect(t, http.StatusOK, "--portal-url", "shop/main").without(t, "/accounts/shop/main/sign-in")
	clerk.press(page, "/accounts/shop/works/renew").expect(t, http.StatusSeeOther)
}
