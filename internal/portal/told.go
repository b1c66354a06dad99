package portal

import (
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// maxUser is how many characters of a user's name are told.
const maxUser = 128

// asked has the words for an action that a user asked for: a single one, and a phrase.
var asked = map[string]struct{ word, says string }{
	cards.ActionSignIn: {"SignIn", "a sign-in"},
	cards.ActionRenew:  {"Renew", "a renewal"},
	cards.ActionVerify: {"Verify", "a test of the connection"},
}

// tellAction tells in the log and as an event of the account that a user asked for an action, which is then on record. The event is about the
// account in whatever version, and the user is its related object: so the recorder counts the repeated requests of one user in one event, and
// never counts another user's requests in it.
func (p *Portal) tellAction(account *v1alpha1.MarketplaceAccount, who *visitor.Visitor, action string) {
	user, said := printable(who.Username()), asked[action]
	p.log.Info("Action requested", "namespace", account.Namespace, "name", account.Name, "user", user, "action", action)
	about := &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "MarketplaceAccount", Namespace: account.Namespace, Name: account.Name, UID: account.UID,
	}
	p.recorder.Eventf(about, &corev1.ObjectReference{Kind: "User", Name: user}, corev1.EventTypeNormal, v1alpha1.EventActionRequested,
		said.word, "%s asked for %s in the portal", user, said.says)
}

// printable is a user's name as it may stand in a line: an authenticator may let in any text.
func printable(name string) string {
	visible := strings.Map(func(char rune) rune {
		if !unicode.IsPrint(char) {
			return '?'
		}
		return char
	}, strings.ToValidUTF8(name, "?"))
	return bounds.CutCharacters(visible, maxUser)
}
