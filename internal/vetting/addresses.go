package vetting

import (
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// Platform tells how the account's Marketplace and application are now.
type Platform struct {
	// LeadsTo tells whether an address belongs to the platform or to the portal; nil where the Marketplace is not known, so that none does.
	LeadsTo func(address string) bool
	// Names tells whether an address may stand in a text that is shown; nil where the Marketplace is not known, so that none may.
	Names func(address string) bool
	// Visit tells whether a visit could have begun now, as far as the server and the redirect URI are concerned; nil where that is not known.
	Visit func(custody.Visit) bool
	// AccountIDs are the account that the spec names and the one that the status tells of, which nobody writes but the operator. They may stand in
	// a text whatever they look like.
	AccountIDs []string
}

// Addresses returns a custody without the parts that lead people, codes or tokens to other places than the Marketplace does as it is now. out
// names the parts that were left out.
func Addresses(kept custody.Custody, platform Platform) (checked custody.Custody, out []string) {
	a := &addresses{platform: platform}
	kept.Grant = a.grant("", kept.Grant)
	kept.Candidate, kept.Aside = a.other("candidate.", kept.Candidate), a.other("aside.", kept.Aside)
	kept.Refused = a.refusal("refused.message", kept.Refused)
	kept.RefusedImport = a.refusal("refusedImport.message", kept.RefusedImport)
	if verified := kept.Verified; verified != nil && !a.shows(verified.Failure) {
		same := *verified
		same.Failure = a.text("verified.failure", same.Failure)
		kept.Verified = &same
	}
	kept.SignIn = a.signIn(kept.SignIn)
	return kept, a.out
}

type addresses struct {
	left
	platform Platform
}

func (a *addresses) grant(where string, g custody.Grant) custody.Grant {
	if !a.shows(g.Account.ID) {
		g.Account.ID, g.Account.By, g.Identified = "", "", false
		a.leave(where + "account.id")
	}
	if !a.shows(g.Account.Login) {
		g.Account.Login = ""
		a.leave(where + "account.login")
	}
	if tokens := g.Tokens; tokens != nil && !a.shows(tokens.IDTokenWithheld) {
		same := *tokens
		same.IDTokenWithheld = a.text(where+"tokens.idTokenWithheld", same.IDTokenWithheld)
		g.Tokens = &same
	}
	return g
}

func (a *addresses) other(where string, g *custody.Grant) *custody.Grant {
	if g == nil {
		return nil
	}
	checked := a.grant(where, *g)
	return &checked
}

func (a *addresses) refusal(where string, refused *custody.Refusal) *custody.Refusal {
	if refused == nil || a.shows(refused.Message) && a.shows(refused.AccountID) {
		return refused
	}
	same := *refused
	same.Message, same.AccountID = a.text(where, same.Message), a.text(where, same.AccountID)
	return &same
}

func (a *addresses) signIn(s custody.SignIn) custody.SignIn {
	if s.Device != nil && (!a.isPage(s.Device.URL) || s.Device.Page != "" && !a.isPage(s.Device.Page)) {
		s.Device = nil
		a.leave("signIn.device")
	}
	if s.Ended != nil && !a.shows(s.Ended.Why) {
		same := *s.Ended
		same.Why = a.text("signIn.ended.why", same.Why)
		s.Ended = &same
	}
	s.Refused = a.refusal("signIn.refused.message", s.Refused)
	if a.platform.Visit != nil { // a visit that has ended tells its browser how it ended
		s.Visits = keep(&a.left, "signIn.visits", s.Visits, func(v custody.Visit) bool { return v.Used || v.Problem != "" || a.platform.Visit(v) })
	}
	if !all(s.Visits, func(v custody.Visit) bool { return a.shows(v.Detail) }) {
		s.Visits = slices.Clone(s.Visits)
		for i := range s.Visits {
			s.Visits[i].Detail = a.text("signIn.visits.detail", s.Visits[i].Detail)
		}
	}
	return s
}

// isPage tells whether an address is a page of the platform.
func (a *addresses) isPage(address string) bool {
	return outgoing.CheckLink(address) == nil && a.platform.LeadsTo != nil && a.platform.LeadsTo(address)
}

// shows tells that a text holds no address, or none but those that may be shown.
func (a *addresses) shows(text string) bool { return a.clean(text) == text }

// text returns a text without the addresses that may not be shown.
func (a *addresses) text(where, text string) string {
	cleaned := a.clean(text)
	if cleaned != text {
		a.leave(where)
	}
	return cleaned
}

func (a *addresses) clean(text string) string {
	if !bounds.IsAddress(text) || slices.Contains(a.platform.AccountIDs, text) {
		return text
	}
	words := strings.Split(text, " ")
	for i, word := range words {
		if bounds.IsAddress(word) && !a.isShown(word) {
			words[i] = bounds.AddressRemoved
		}
	}
	return strings.Join(words, " ")
}

// isShown tells whether a word is an address that may be shown, but for the punctuation of a sentence around it.
func (a *addresses) isShown(word string) bool {
	address := strings.Trim(word, `"'(),.:;[]`)
	if slices.Contains(a.platform.AccountIDs, address) {
		return true
	}
	if !strings.Contains(address, "://") { // www.example.com, as in a failure to look a host up
		address = "https://" + address
	}
	return a.platform.Names != nil && strings.Count(address, "://") == 1 && outgoing.CheckLink(address) == nil && a.platform.Names(address)
}
