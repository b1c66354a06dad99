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
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// The sign-in Secret shows a link or a code to the people who may read it. Of a ticket no more than the hash is kept elsewhere. So the Secret counts
// only where it is as the operator has written it: one that was edited or deleted shows another link.

// ReadSignIn reads the sign-in Secret, and where that shows links, the ticket that it shows.
func (p *Publisher) ReadSignIn(ctx context.Context, l driver.Look) (driver.Look, error) {
	key := client.ObjectKey{Namespace: l.Account.Namespace, Name: l.Account.SignInSecretName()}
	held, err := kube.ReadSecret(ctx, p.Client, key)
	if err != nil {
		return l, err
	}
	l.LinksInSecret = p.LinksInSecret
	if held != nil && tokensecret.OwnSignIn(held, l.Account) {
		l = l.WithSignInSecret(held)
	}
	if !p.LinksInSecret {
		return l, nil
	}
	if l.ShownTicket = p.waitingTicket(l.Account.UID); l.ShownTicket == "" {
		l.ShownTicket = ticketIn(l)
	}
	if l.SignInSecret == nil && l.NeedsSignIn() {
		l.PlaceTaken, err = p.placeTaken(ctx, l.Account, held)
	}
	return l, err
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

// ticketIn is the hash of the ticket in the sign-in Secret; empty where that is not as the operator writes it.
func ticketIn(l driver.Look) string {
	if l.SignInSecret == nil {
		return ""
	}
	ticket := tokensecret.TicketOf(l.SignInSecret)
	if !tokensecret.Matches(l.SignInSecret, tokensecret.SignIn{URL: l.Link, Ticket: ticket}.Digest(l.Account)) {
		return ""
	}
	return ticket
}

// Offer is the look after a ticket was stored that nobody was shown yet. It is kept until the sign-in Secret shows it, so that a write that
// fails makes no further ticket.
func (p *Publisher) Offer(l driver.Look, ticket string) driver.Look {
	p.Tickets.Set(l.Account.UID, ticket)
	l.ShownTicket = signin.Hash(ticket)
	return l
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
		l.PlaceTaken = inputs.Conflict(l.Account, wanted).Message
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
