package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

const (
	// tableWidth is how many columns of a terminal the table takes at most. The longest names and identifiers are cut for that, never the messages.
	tableWidth = 100
	maxName    = 16
	maxAccount = 12
	// indent is put before the lines of a message.
	indent = "    "
)

// table shows the accounts: a line each, and below it what there is to say, whole. Times are those of the given place.
func (b *board) table(place *time.Location) string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(columns, strings.Join(cells, "\t")) } // a Builder takes everything
	row("NAME", "MARKETPLACE", "ACCOUNT", "AUTHENTICATED", "DAYS", "REAUTH", "READY", "EXPIRES", "RENEWED")
	for i := range b.accounts {
		row(b.cells(&b.accounts[i], place)...)
	}
	_ = columns.Flush() // as above
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		out.WriteString(strings.TrimRight(line, " ") + "\n")
		if i > 0 {
			for _, part := range wrapped(message(&b.accounts[i-1]), tableWidth-len(indent)) {
				out.WriteString(indent + part + "\n")
			}
		}
	}
	return out.String()
}

// cells are a line of the table.
func (b *board) cells(account *v1alpha1.MarketplaceAccount, place *time.Location) []string {
	status := &account.Status
	name, id, days, expires, renewed := account.Name, "", "", "", ""
	if b.namespaces() > 1 {
		name = account.Namespace + "/" + name
	}
	if status.Account != nil {
		id = shortened(status.Account.ID, maxAccount)
	}
	if status.Authorization != nil && status.Authorization.DaysRemaining != nil {
		days = strconv.Itoa(int(*status.Authorization.DaysRemaining))
	}
	if status.AccessToken != nil && !status.AccessToken.ExpirationTime.IsZero() {
		expires = status.AccessToken.ExpirationTime.In(place).Format(time.TimeOnly)
	}
	if count := b.renewals[account.UID].count; count > 0 {
		renewed = strconv.Itoa(count)
	}
	return []string{
		shortened(name, maxName), shortened(account.Spec.MarketplaceRef.Name, maxAccount), id,
		state(account, v1alpha1.ConditionAuthenticated), days,
		state(account, v1alpha1.ConditionReauthRequired), state(account, v1alpha1.ConditionReady), expires, renewed,
	}
}

// namespaces is in how many the accounts are.
func (b *board) namespaces() int {
	all := map[string]bool{}
	for i := range b.accounts {
		all[b.accounts[i].Namespace] = true
	}
	return len(all)
}

// wrapped breaks a text into lines of so many characters at most, between words where that is possible.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		characters := []rune(word)
		for ; len(characters) > width; characters = characters[width:] {
			lines = append(lines, string(characters[:width]))
		}
		line = string(characters)
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
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

// shortened keeps the first line, and of that at most so many characters.
func shortened(text string, limit int) string {
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "\t", " "), "\n")
	return bounds.ShortenCharacters(text, limit)
}
