package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// maxAccount and maxMessage are how many characters of an identifier and of a message the table shows.
	maxAccount = 16
	maxMessage = 72
)

// table shows the accounts, a line each. Times are those of the given place.
func (b *board) table(place *time.Location) string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(columns, strings.Join(cells, "\t")) } // a Builder takes everything
	row("NAMESPACE", "NAME", "MARKETPLACE", "ACCOUNT", "AUTHENTICATED", "DAYS", "REAUTH", "READY", "EXPIRES", "RENEWED", "MESSAGE")
	for i := range b.accounts {
		row(cells(&b.accounts[i], b.renewals[b.accounts[i].UID].count, place)...)
	}
	_ = columns.Flush() // as above
	return text.String()
}

// cells are a line of the table.
func cells(account *v1alpha1.MarketplaceAccount, renewed int, place *time.Location) []string {
	status := &account.Status
	id, days, expires := "", "", ""
	if status.Account != nil {
		id = shortened(status.Account.ID, maxAccount)
	}
	if status.Authorization != nil && status.Authorization.DaysRemaining != nil {
		days = strconv.Itoa(int(*status.Authorization.DaysRemaining))
	}
	if status.AccessToken != nil && !status.AccessToken.ExpirationTime.IsZero() {
		expires = status.AccessToken.ExpirationTime.In(place).Format(time.TimeOnly)
	}
	return []string{
		account.Namespace, account.Name, account.Spec.MarketplaceRef.Name, id,
		state(account, v1alpha1.ConditionAuthenticated), days,
		state(account, v1alpha1.ConditionReauthRequired), state(account, v1alpha1.ConditionReady),
		expires, times(renewed), shortened(message(account), maxMessage),
	}
}

// state is the status of a condition, nothing where it is not known.
func state(account *v1alpha1.MarketplaceAccount, condition string) string {
	if found := meta.FindStatusCondition(account.Status.Conditions, condition); found != nil {
		return string(found.Status)
	}
	return ""
}

// message is what there is to say: why there is no token, else how the grant stands.
func message(account *v1alpha1.MarketplaceAccount) string {
	authenticated := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionAuthenticated)
	ready := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case authenticated == nil && ready == nil:
		return ""
	case authenticated == nil, ready != nil && ready.Status != metav1.ConditionTrue && authenticated.Status == metav1.ConditionTrue:
		return ready.Message
	}
	return authenticated.Message
}

func times(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 time"
	}
	return strconv.Itoa(n) + " times"
}

// shortened keeps the first line, and of that at most so many characters.
func shortened(text string, limit int) string {
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "\t", " "), "\n")
	if characters := []rune(text); len(characters) > limit {
		return string(characters[:limit-1]) + "…"
	}
	return text
}
