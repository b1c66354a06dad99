package publish

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// The sign-in Secret shows a link or a code to the people who may read it. Of a ticket no more than the hash is kept elsewhere. So the Secret counts
// only where it is as the operator has written it: one that was edited or deleted shows another link.

// Shown is how the sign-in Secret shows people the way to sign in.
type Shown struct {
	// Secret is the sign-in Secret; nil where there is none.
	Secret *corev1.Secret
	// Ticket is the hash of the ticket that it shows, or will show next; empty where it shows no link.
	Ticket string
	// PlaceTaken is why the account cannot have a sign-in Secret, where it needs one; else empty.
	PlaceTaken string
}

// ReadSignIn reads the sign-in Secret of an account whose page of links is known. Where links are shown by statuses, no more than the Secret is of interest.
func (p *Publisher) ReadSignIn(ctx context.Context, f facts.Facts) (Shown, error) {
	key := client.ObjectKey{Namespace: f.Account.Namespace, Name: f.Account.SignInSecretName()}
	held, err := kube.ReadSecret(ctx, p.Client, key)
	if err != nil {
		return Shown{}, err
	}
	var shown Shown
	if held != nil && tokensecret.OwnSignIn(held, f.Account) {
		shown.Secret = held
	}
	if !p.LinksInSecret {
		return shown, nil
	}
	if shown.Ticket = p.waitingTicket(f.Account.UID); shown.Ticket == "" {
		shown.Ticket = ticketIn(shown.Secret, f)
	}
	if shown.Secret == nil && f.NeedsSignIn() {
		shown.PlaceTaken, err = p.placeTaken(ctx, f.Account, held)
	}
	return shown, err
}

// placeTaken is why the account cannot have a sign-in Secret, where held is in its place, or a Secret without the operator's label; empty where it can.
func (p *Publisher) placeTaken(ctx context.Context, account *v1alpha1.MarketplaceAccount, held *corev1.Secret) (string, error) {
	if held != nil {
		return inputs.Conflict(account, held).Message, nil
	}
	key := client.ObjectKey{Namespace: account.Namespace, Name: account.SignInSecretName()}
	metadata := kube.SecretMetadata()
	switch err := p.Metadata.Get(ctx, key, metadata); {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading the metadata of Secret %q: %w", key.Name, err)
	case tokensecret.Owned(metadata, account): // it has lost its labels
		return "", nil
	}
	return inputs.Conflict(account, metadata).Message, nil
}

// ticketIn is the hash of the ticket in the sign-in Secret; empty where there is none, and where it is not as the operator writes it.
func ticketIn(secret *corev1.Secret, f facts.Facts) string {
	if secret == nil {
		return ""
	}
	held := tokensecret.DigestSignIn(secret)
	ticket := tokensecret.TicketOf(held)
	if !tokensecret.Matches(held, tokensecret.SignIn{URL: f.Link, Ticket: ticket}.Digest(f.Account)) {
		return ""
	}
	return ticket
}

// Offer is the look after a ticket was stored that the sign-in Secret does not show yet. The ticket is kept in memory until it does, so that a write that
// fails makes no further ticket.
func (p *Publisher) Offer(l driver.Look, ticket string) driver.Look {
	p.Tickets.Set(l.Account.UID, ticket)
	return l.WithShownTicket(signin.Hash(ticket))
}

// PublishSignIn makes the sign-in Secret show the link or the code that waits for a person, also after somebody has edited or deleted it, and
// removes it where there is none.
func (p *Publisher) PublishSignIn(ctx context.Context, l driver.Look) (driver.Look, error) {
	if l.PlaceTaken != "" {
		return l.With(lifecycle.NotShown(l.Facts, l.PlaceTaken)), nil
	}
	shown := invitation.InSecret(&l.Facts)
	if shown == nil {
		return p.withdraw(ctx, l)
	}
	if l.SignInSecret != nil && tokensecret.Matches(l.SignInSecret, shown.Digest(l.Account)) {
		return l, nil
	}
	ticket := ""
	if shown.Ticket != "" {
		ticket = p.Tickets.Of(l.Account.UID)
	}
	wanted := tokensecret.RenderSignIn(l.Account, *shown, ticket)
	written, free, err := p.write(ctx, l.Account, l.SignInSecret, wanted, tokensecret.OwnSignIn)
	switch {
	case err != nil:
		if failure := driver.Unwritable(wanted.Name, err); failure != nil {
			l = l.With(lifecycle.NotShown(l.Facts, failure.Message))
		}
		return l, fmt.Errorf("writing the sign-in Secret: %w", err)
	case !free:
		l = l.WithPlaceTaken(inputs.Conflict(l.Account, wanted).Message)
		return l.With(lifecycle.NotShown(l.Facts, l.PlaceTaken)), nil
	}
	p.Tickets.Set(l.Account.UID, "")
	return l.WithSignInSecret(written), nil
}

// withdraw removes the sign-in Secret.
func (p *Publisher) withdraw(ctx context.Context, l driver.Look) (driver.Look, error) {
	held := l.SignInSecret
	if held == nil {
		return l, nil
	}
	gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: held.Namespace, Name: held.Name}}
	if err := p.Client.Delete(ctx, gone, client.Preconditions{UID: &held.UID}); client.IgnoreNotFound(err) != nil {
		return l, fmt.Errorf("removing the sign-in Secret: %w", err)
	}
	return l.WithSignInSecret(nil), nil
}
