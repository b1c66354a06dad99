package signin_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestSecretsAreLongAndNeedNoEscape(t *testing.T) {
	first, err := signin.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := signin.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A code verifier has 43 to 128 characters (RFC 7636 section 4.1).
	if first == second || len(first) < 43 || url.QueryEscape(first) != first {
		t.Errorf("drew %q and %q", first, second)
	}
}

func TestNoRandomnessIsNoSecret(t *testing.T) {
	for _, random := range []*bytes.Reader{bytes.NewReader(nil), bytes.NewReader(make([]byte, 16))} {
		if secret, err := signin.NewSecret(random); err == nil {
			t.Errorf("drew %q from too few bits", secret)
		}
	}
	broken := errors.New("broken")
	if _, err := signin.NewSecret(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestHash(t *testing.T) {
	hash := signin.Hash("a secret")
	switch {
	case !signin.Matches(hash, "a secret"):
		t.Error("a secret does not match its own hash")
	case signin.Matches(hash, "another"), signin.Matches("", ""), signin.Matches(hash, hash):
		t.Error("something else matches")
	case strings.Contains(hash, "secret"):
		t.Error("the hash shows the secret")
	}
	if challenge := oauth2.S256ChallengeFromVerifier("a secret"); hash != challenge {
		t.Errorf("the hash is %q, as a code challenge it should be %q", hash, challenge)
	}
}

func TestAddresses(t *testing.T) {
	portal := signin.Address("https://tokens.example.com")
	link := portal.Link("shop", "allegro-main", "abc")
	if want := "https://tokens.example.com/sign-in/shop/allegro-main?ticket=abc"; link != want {
		t.Errorf("the link is %s, want %s", link, want)
	}
	if got := signin.TicketOf(link); got != "abc" {
		t.Errorf("the ticket of the link is %q", got)
	}
	if got := signin.TicketOf("ticket=abc&x=y"); got != "abc" {
		t.Errorf("the ticket of the query is %q", got)
	}
	page := portal.Page("shop", "allegro-main")
	if got, ticket := signin.SplitLink(link); got != page || ticket != "abc" || signin.WithTicket(page, ticket) != link {
		t.Errorf("the link is %s with the ticket %q", got, ticket)
	}
	if got, ticket := signin.SplitLink("https://market.example/device?code=AB-CD"); got != "https://market.example/device?code=AB-CD" || ticket != "" {
		t.Errorf("another address is %s with the ticket %q", got, ticket)
	}
	if got := signin.Address("").Page("shop", "main"); got != "" {
		t.Errorf("without a portal the page is at %s", got)
	}
	for _, none := range []string{"", "https://tokens.example.com/", "?ticket", "?%zz"} {
		if got := signin.TicketOf(none); got != "" {
			t.Errorf("the ticket of %q is %q", none, got)
		}
	}
	if got, want := portal.Callback("allegro"), "https://tokens.example.com/callback/allegro"; got != want {
		t.Errorf("the callback is %s, want %s", got, want)
	}
	if got, want := portal.Callback(signin.CallbackName("shops", "abc234")), "https://tokens.example.com/callback/shops/abc234"; got != want {
		t.Errorf("the callback of a server is %s, want %s", got, want)
	}
}

func TestEachVisitHasACookieOfItsOwn(t *testing.T) {
	one, two := signin.CookieName("one"), signin.CookieName("two")
	if one == two || !strings.HasPrefix(one, "__Host-") || strings.Contains(one, "one") {
		t.Errorf("the cookies are %s and %s", one, two)
	}
}

func TestErrorNamesTheProblem(t *testing.T) {
	for _, e := range []*signin.Error{
		{Problem: signin.CodeRefused, Detail: "invalid_grant"},
		{Problem: signin.LinkUsed, Ticket: "the-next-one"},
	} {
		text := e.Error()
		if !strings.Contains(text, string(e.Problem)) || !strings.Contains(text, e.Detail) || strings.Contains(text, "the-next-one") {
			t.Errorf("the text is %q", text)
		}
	}
}
