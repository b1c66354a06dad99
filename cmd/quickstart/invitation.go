package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// invitation is the request of an account to a person.
type invitation struct {
	account types.NamespacedName
	url     string
	code    string // that the marketplace must show; empty where the link leads through the portal
	user    string // the login at the demo marketplace
}

// invitations lists the invitations of the accounts that wait for a person.
func (b *board) invitations() []invitation {
	var open []invitation
	for i := range b.accounts {
		account := &b.accounts[i]
		if asked := account.Status.SignIn; asked != nil && asked.URL != "" {
			open = append(open, invitation{
				account: types.NamespacedName{Namespace: account.Namespace, Name: account.Name},
				url:     asked.URL,
				code:    asked.UserCode,
				user:    userOf(account),
			})
		}
	}
	return open
}

// userOf is the user that logs in for an account: the one that its login names, else the second user, since the refresh tokens that the
// samples bring are the first one's.
func userOf(account *v1alpha1.MarketplaceAccount) string {
	if account.Spec.Login == demomarket.DefaultUser {
		return demomarket.DefaultUser
	}
	return demomarket.OtherUser
}

// text tells the person what to do, in a line and one for the link.
func (i invitation) text() string {
	condition := ""
	if i.code != "" {
		condition = ", if it shows the code " + i.code
	}
	return fmt.Sprintf("  %s, as %s%s:\n    %s\n", i.account, i.user, condition, i.url)
}

// waiting lists the tasks of people; it is empty where they have none.
func (b *board) waiting() string {
	var text strings.Builder
	for _, i := range b.invitations() {
		text.WriteString(i.text())
	}
	if text.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("\nAccounts that wait for you: open the link, log in with password %s, and allow access\n%s",
		demomarket.DefaultPassword, &text)
}
