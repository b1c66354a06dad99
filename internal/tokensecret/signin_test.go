package tokensecret_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const ticket = "a-ticket-that-nobody-else-may-read"

var (
	link = tokensecret.SignIn{URL: "https://portal.example/sign-in/shop/main", Ticket: signin.Hash(ticket)}
	code = tokensecret.SignIn{URL: "https://market.example/device?ticket=AB-CD", UserCode: "AB-CD"} // a name that is a platform's own, too
)

func TestRenderSignIn(t *testing.T) {
	secret := tokensecret.RenderSignIn(account(), link, ticket)
	if diff := cmp.Diff(map[string]string{"sign_in_url": link.URL + "?ticket=" + ticket}, data(secret)); diff != "" {
		t.Errorf("of a link (-want +got)\n%s", diff)
	}
	if secret.Name != "main-sign-in" || secret.Namespace != "shop" || secret.Type != "tokenkeeper.dev/sign-in" || !tokensecret.OwnSignIn(secret, account()) ||
		secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || secret.Labels[v1alpha1.LabelAccount] != "main" {
		t.Errorf("it is %+v", secret.ObjectMeta)
	}
	if diff := cmp.Diff(map[string]string{"sign_in_url": code.URL, "user_code": "AB-CD"}, data(tokensecret.RenderSignIn(account(), code, ""))); diff != "" {
		t.Errorf("of a code (-want +got)\n%s", diff)
	}
}

// TestDigestOfASignIn: it holds neither link nor code, and tells each edit.
func TestDigestOfASignIn(t *testing.T) {
	for name, shown := range map[string]struct {
		content tokensecret.SignIn
		ticket  string
	}{"link": {link, ticket}, "code": {code, ""}} {
		secret := tokensecret.RenderSignIn(account(), shown.content, shown.ticket)
		digest, wanted := tokensecret.DigestSignIn(secret), shown.content.Digest(account())
		if text := fmt.Sprint(digest); strings.Contains(text, ticket) || strings.Contains(text, "AB-CD") {
			t.Errorf("the digest of a %s holds it", name)
		}
		if !tokensecret.Matches(digest, wanted) || !tokensecret.Matches(tokensecret.DigestSignIn(digest), wanted) {
			t.Errorf("a %s is not known again", name)
		}
		for edit, change := range map[string]func(*corev1.Secret){
			"another ticket":   func(s *corev1.Secret) { s.Data["sign_in_url"] = []byte(link.URL + "?ticket=another") },
			"no ticket":        func(s *corev1.Secret) { s.Data["sign_in_url"] = []byte(link.URL) },
			"another page":     func(s *corev1.Secret) { s.Data["sign_in_url"] = []byte("https://evil.example/?ticket=" + ticket) },
			"more than a link": func(s *corev1.Secret) { s.Data["sign_in_url"] = append(s.Data["sign_in_url"], " and more"...) },
			"a further code":   func(s *corev1.Secret) { s.Data["user_code"] = []byte("EV-IL") },
			"a further key":    func(s *corev1.Secret) { s.Data["note"] = []byte("call 0800") },
			"nothing":          func(s *corev1.Secret) { s.Data = nil },
			"a lost label":     func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAccount) },
			"another owner":    func(s *corev1.Secret) { s.OwnerReferences[0].UID = "another" },
		} {
			edited := secret.DeepCopy()
			change(edited)
			if tokensecret.Matches(tokensecret.DigestSignIn(edited), wanted) {
				t.Errorf("%s of a %s is not noticed", edit, name)
			}
		}
		large := secret.DeepCopy()
		large.Data["expires_at"] = []byte(strings.Repeat("x", 100_000))
		if size := len(fmt.Sprint(tokensecret.DigestSignIn(large).Data)); size > 1000 {
			t.Errorf("the digest of a large %s takes %d characters", name, size)
		}
	}
	if got := tokensecret.TicketOf(tokensecret.DigestSignIn(tokensecret.RenderSignIn(account(), link, ticket))); got != link.Ticket {
		t.Errorf("the hash of the ticket is %q", got)
	}
	for name, none := range map[string]*corev1.Secret{
		"a Secret without a link": {}, "a link without a ticket": {Data: map[string][]byte{"sign_in_url": []byte(link.URL)}},
	} {
		if got := tokensecret.TicketOf(tokensecret.DigestSignIn(none)); got != "" {
			t.Errorf("the hash of the ticket of %s is %q", name, got)
		}
	}
}

func TestWhoseASignInSecretIs(t *testing.T) {
	secret := func(kind corev1.SecretType, account string) *corev1.Secret {
		return &corev1.Secret{Type: kind, ObjectMeta: metav1.ObjectMeta{Name: "main-sign-in", Labels: map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAccount: account,
		}}}
	}
	for name, test := range map[string]struct {
		secret *corev1.Secret
		own    bool
	}{
		"the account's own":                {secret(v1alpha1.SecretTypeSignIn, "main"), true},
		"another account's":                {secret(v1alpha1.SecretTypeSignIn, "second"), false},
		"the account's own token, instead": {secret(corev1.SecretTypeOpaque, "main"), false},
	} {
		if got := tokensecret.OwnSignIn(test.secret, account()); got != test.own {
			t.Errorf("%s: %t", name, got)
		}
	}
}
