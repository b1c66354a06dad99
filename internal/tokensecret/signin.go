package tokensecret

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// SignIn is the content of a sign-in Secret: a link or a code by which a person signs in.
type SignIn struct {
	// URL is the address to open; that of a link to the portal without its ticket.
	URL string
	// Ticket is the hash of the link's ticket, which is all that the operator keeps of it; empty for a code.
	Ticket string
	// UserCode is the code to enter there; empty for a link.
	UserCode string
}

// RenderSignIn writes the sign-in Secret of an account. ticket is the one of the link; empty for a code.
func RenderSignIn(account *v1alpha1.MarketplaceAccount, shown SignIn, ticket string) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:            account.SignInSecretName(),
			Namespace:       account.Namespace,
			Labels:          labels(account, nil),
			OwnerReferences: []metav1.OwnerReference{OwnerOf(account)},
		},
		Type: v1alpha1.SecretTypeSignIn,
		Data: map[string][]byte{v1alpha1.SignInKeyURL: []byte(shown.URL)},
	}
	if ticket != "" {
		secret.Data[v1alpha1.SignInKeyURL] = []byte(signin.WithTicket(shown.URL, ticket))
	}
	if shown.UserCode != "" {
		secret.Data[v1alpha1.SignInKeyUserCode] = []byte(shown.UserCode)
	}
	return secret
}

// OwnSignIn tells whether a Secret is the account's sign-in Secret. Another one of its name may be the account's as well: its token Secret,
// where the account was stored before that name was refused.
func OwnSignIn(secret *corev1.Secret, account *v1alpha1.MarketplaceAccount) bool {
	return secret.Type == v1alpha1.SecretTypeSignIn && Owned(secret, account)
}

// ticketKey is where the digest of a sign-in Secret has the hash of the ticket: no Secret can have such a key.
const ticketKey = "*ticket*"

// DigestSignIn returns a sign-in Secret without its link and code, for a cache to hold: there is enough left to know the ticket again, and for
// Matches to tell the Secret from another. The digest of a digest is itself.
func DigestSignIn(secret *corev1.Secret) *corev1.Secret {
	if _, ok := secret.Data[digestKey]; ok {
		return secret
	}
	page, ticket := signin.SplitLink(string(secret.Data[v1alpha1.SignInKeyURL]))
	if ticket != "" {
		ticket = signin.Hash(ticket)
	}
	return digestSignIn(secret, page, ticket)
}

// Digest is the digest of the sign-in Secret of an account with this content.
func (s SignIn) Digest(account *v1alpha1.MarketplaceAccount) *corev1.Secret {
	secret := RenderSignIn(account, s, "")
	if s.Ticket == "" {
		return DigestSignIn(secret)
	}
	return digestSignIn(secret, s.URL, s.Ticket)
}

// digestSignIn digests a sign-in Secret of which the link leads to page with the ticket of a hash.
func digestSignIn(secret *corev1.Secret, page, ticket string) *corev1.Secret {
	told := *secret
	told.Data = map[string][]byte{v1alpha1.SignInKeyURL: []byte(page), ticketKey: []byte(ticket)}
	for key, value := range secret.Data {
		if key != v1alpha1.SignInKeyURL {
			told.Data[key] = value
		}
	}
	digest := told
	digest.Data = map[string][]byte{digestKey: Digest(&told).Data[digestKey], ticketKey: []byte(ticket)}
	return &digest
}

// TicketOf is the hash of the ticket in a sign-in Secret, by its digest; empty where it holds none.
func TicketOf(digest *corev1.Secret) string { return string(digest.Data[ticketKey]) }
