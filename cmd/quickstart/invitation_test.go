package main

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// invited shows a link in the account's status, and where there is one a code.
func invited(url, code string) func(*v1alpha1.MarketplaceAccount) {
	return func(account *v1alpha1.MarketplaceAccount) {
		account.Status.SignIn = &v1alpha1.SignInStatus{URL: url, UserCode: code}
	}
}

func login(name string) func(*v1alpha1.MarketplaceAccount) {
	return func(account *v1alpha1.MarketplaceAccount) { account.Spec.Login = name }
}

func TestInvitations(t *testing.T) {
	var b board
	b.observe([]v1alpha1.MarketplaceAccount{
		account("d", invited("", "")),
		account("c", login(demomarket.DefaultUser), ready, invited("http://localhost:2/sign-in/shop/c?ticket=t", "")),
		account("b", login("my-shop"), invited("http://127.0.0.1:1/device?code=abc", "abc")),
		account("a", ready),
	})
	want := []invitation{
		{types.NamespacedName{Namespace: "shop", Name: "b"}, "http://127.0.0.1:1/device?code=abc", "abc", demomarket.OtherUser},
		{types.NamespacedName{Namespace: "shop", Name: "c"}, "http://localhost:2/sign-in/shop/c?ticket=t", "", demomarket.DefaultUser},
	}
	if got := b.invitations(); !slices.Equal(got, want) {
		t.Errorf("they are %v, want %v", got, want)
	}
	text := `
Accounts that wait for you: open the link, log in with password demo-password, and allow access
  shop/b, as other-seller@example.com, if it shows the code abc:
    http://127.0.0.1:1/device?code=abc
  shop/c, as seller@example.com:
    http://localhost:2/sign-in/shop/c?ticket=t
`
	if got := b.waiting(); got != text {
		t.Errorf("people are told\n%s\nwant\n%s", got, text)
	}
}

func TestNobodyIsAskedForAnything(t *testing.T) {
	var b board
	b.observe([]v1alpha1.MarketplaceAccount{account("a", ready)})
	if got := b.waiting(); got != "" {
		t.Errorf("people are told %q", got)
	}
}

// The refresh tokens of the samples, and their password, are the first seller's. So those for a person are the second
// one's, else two accounts would be the same seller's.
func TestTheSecondUserSignsIn(t *testing.T) {
	people := 0
	for _, sample := range sampleAccounts(t) {
		if !signsIn(&sample) {
			continue
		}
		people++
		if got := userOf(&sample); got != demomarket.OtherUser || sample.Spec.Login != got {
			t.Errorf("%s logs in as %s, and its login is %q", sample.Name, got, sample.Spec.Login)
		}
	}
	if people == 0 {
		t.Error("no sample is for a person")
	}
}
