package vetting

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const (
	// most bounds lists of which package custody keeps fewer.
	most = 16
	// mostScopes bounds the scopes that a person was asked for: more than the API takes in spec.scopes.
	mostScopes = 256
	// clockSlack is how far a clock may have been set back since an end was written.
	clockSlack = 24 * time.Hour
	// longestCode is the most that is believed of a platform about the life of a device code, and longestInterval of the wait
	// between two polls.
	longestCode     = 24 * time.Hour
	longestInterval = 5 * 60
	// keySize is that of the key of refusals.
	keySize = 32
)

// form checks the rules of every custody, of any Marketplace.
type form struct {
	left
	now time.Time
}

// Form returns a custody without the parts that no operator writes: tokens of other characters than VSCHAR (RFC 6749 appendix A), texts
// that are too long, counts that are none, ends that lie too far ahead. out names the parts that were left out, in words that hold nothing of them.
func Form(kept custody.Custody, now time.Time) (checked custody.Custody, out []string) {
	f := &form{now: now}
	kept.Serial, kept.Consents, kept.Accepted = max(kept.Serial, 0), max(kept.Consents, 0), max(kept.Accepted, 0)
	kept.Grant = f.grant("", kept.Grant)
	kept.Candidate = f.other("candidate", kept.Candidate)
	kept.Aside = f.other("aside", kept.Aside)
	if kept.Restored != nil && !credential(kept.Restored.Imported, bounds.Credential) {
		same := *kept.Restored
		same.Imported = ""
		kept.Restored = &same
		f.leave("restored.imported")
	}
	kept.Journal, kept.ImportJournal = f.journal("journal", kept.Journal), f.journal("importJournal", kept.ImportJournal)
	kept.SpentImports = f.texts("spentImports", kept.SpentImports, most, bounds.Credential)
	if len(kept.RefusalKey) != 0 && len(kept.RefusalKey) != keySize {
		kept.RefusalKey = nil
		f.leave("refusalKey")
	}
	kept.Refused = f.refusal("refused", kept.Refused)
	kept.RefusedImport = f.refusal("refusedImport", kept.RefusedImport)
	if kept.Verified != nil {
		same := *kept.Verified
		same.Failure, same.Refusals = f.line("verified.failure", same.Failure), max(same.Refusals, 0)
		kept.Verified = &same
	}
	kept.HandledRenew, kept.HandledSignIn = bounds.Cut(kept.HandledRenew, bounds.Message), bounds.Cut(kept.HandledSignIn, bounds.Message)
	kept.Logins = f.logins(kept.Logins)
	kept.SignIn = f.signIn(kept.SignIn)
	kept.Seen = f.seen(kept.Seen)
	return kept, f.out
}

// seen checks what is known of Secrets without reading them. Without it they are read.
func (f *form) seen(s custody.Seen) custody.Seen {
	if !credential(s.ClientID, bounds.Credential) || !credential(s.RedirectURI, bounds.Credential) || len(s.Username) > bounds.Credential {
		f.leave("seen")
		return custody.Seen{}
	}
	return s
}

// grant checks a grant. A refresh token that no platform could have issued is none, and so is one for an application or from an origin that has
// no name.
func (f *form) grant(where string, g custody.Grant) custody.Grant {
	if !credential(g.RefreshToken, bounds.Token) || !credential(g.ClientID, bounds.Credential) || !isOrigin(g.From) {
		g.RefreshToken, g.ClientID, g.From = "", "", custody.Origin{}
		f.leave(where + "refreshToken")
	}
	if !credential(g.Imported, bounds.Credential) {
		g.Imported = ""
		f.leave(where + "imported")
	}
	if len(g.Asked) > mostScopes || !all(g.Asked, func(scope string) bool { return credential(scope, bounds.Message) }) {
		g.Asked = nil
		f.leave(where + "asked")
	}
	if !line(g.Account.ID, bounds.Name) || !line(g.Account.By, bounds.Message) {
		g.Account, g.Identified = custody.Account{Login: g.Account.Login}, false
		f.leave(where + "account.id")
	}
	if !line(g.Account.Login, bounds.Name) {
		g.Account.Login = ""
		f.leave(where + "account.login")
	}
	if !line(g.Subject, 2*bounds.Message) {
		g.Subject = ""
		f.leave(where + "subject")
	}
	switch tokens := g.Tokens; {
	case tokens == nil:
	case !fits(tokens):
		g.Tokens = nil
		f.leave(where + "tokens")
	default:
		same := *tokens
		same.IDTokenWithheld = f.line(where+"tokens.idTokenWithheld", same.IDTokenWithheld)
		if !credential(same.Scope, bounds.Token) { // which is no reason to throw tokens away
			same.Scope = ""
			f.leave(where + "tokens.scope")
		}
		if same.RenewAt.After(renewal.Latest(same.ExpiresAt, same.IssuedAt.Add(renewal.ShortestLife))) { // it would not be renewed in time
			same.RenewAt = time.Time{}
			f.leave(where + "tokens.renewAt")
		}
		g.Tokens = &same
	}
	if !all(g.Published, func(p custody.Published) bool { return line(p.Key, bounds.Name) && line(p.Value, bounds.Message) }) {
		g.Published = nil
		f.leave(where + "published")
	}
	return g
}

// other checks a grant that is not in use, which has tokens at least.
func (f *form) other(where string, g *custody.Grant) *custody.Grant {
	if g == nil {
		return nil
	}
	checked := f.grant(where+".", *g)
	if checked.Tokens == nil {
		f.leave(where)
		return nil
	}
	return &checked
}

func fits(tokens *custody.Tokens) bool {
	return tokens.AccessToken != "" && credential(tokens.AccessToken, bounds.Token) && credential(tokens.IDToken, bounds.Token) &&
		credential(tokens.TokenType, bounds.Token) && line(tokens.For, bounds.Name)
}

func (f *form) journal(where string, entry *custody.Journal) *custody.Journal {
	if entry == nil {
		return nil
	}
	same := *entry
	same.Attempts, same.LastResorts = max(same.Attempts, 0), max(same.LastResorts, 0)
	if !credential(same.Imported, bounds.Credential) || !line(same.Holder, bounds.Name) {
		f.leave(where)
		return nil
	}
	return &same
}

// refusal checks a refusal, whose reason becomes that of a condition.
func (f *form) refusal(where string, refused *custody.Refusal) *custody.Refusal {
	if refused == nil {
		return nil
	}
	if reasons.Of(refused.Reason).Actor == reasons.UnknownActor || !line(refused.AccountID, bounds.Name) || !credential(refused.Imported, bounds.Credential) {
		f.leave(where)
		return nil
	}
	same := *refused
	same.Message = f.line(where+".message", same.Message)
	same.Digests = f.texts(where+".digests", same.Digests, most, bounds.Name)
	same.Tries = max(same.Tries, 0)
	return &same
}

func (f *form) logins(known custody.Logins) custody.Logins {
	if !line(known.Worked, bounds.Name) {
		known.Worked = ""
		f.leave("logins.worked")
	}
	fits := func(d custody.Doubt) bool {
		return line(d.Login, bounds.Name) && line(d.User, bounds.Name) && len(d.Tried) <= most && d.Denied >= 0 && d.Lost >= 0 && d.WaitSeconds >= 0
	}
	if len(known.Doubts) > most || !all(known.Doubts, fits) {
		known.Doubts = nil
		f.leave("logins.doubts")
	}
	return known
}

func (f *form) signIn(s custody.SignIn) custody.SignIn {
	s.Requested, s.Unattended = bounds.Cut(s.Requested, bounds.Message), max(s.Unattended, 0)
	if s.Device != nil && !f.deviceFits(s.Device) {
		s.Device = nil
		f.leave("signIn.device")
	}
	if s.Ended != nil {
		same := *s.Ended
		same.Count, same.Why = max(same.Count, 0), f.line("signIn.ended.why", same.Why)
		s.Ended = &same
	}
	s.Tickets = keep(&f.left, "signIn.tickets", s.Tickets, func(t custody.Ticket) bool {
		return line(t.Hash, bounds.Name) && f.ends(t.ExpiresAt, signin.TicketLife)
	})
	s.Visits = keep(&f.left, "signIn.visits", s.Visits, func(v custody.Visit) bool {
		return all([]string{v.State, v.Cookie, v.Marketplace, v.Server, v.Claim, v.Problem}, func(text string) bool { return line(text, bounds.Name) }) &&
			credential(v.Verifier, bounds.Name) && credential(v.Nonce, bounds.Name) && f.ends(v.ExpiresAt, signin.VisitLife)
	})
	for i := range s.Visits {
		s.Visits[i].Detail = f.line("signIn.visits.detail", s.Visits[i].Detail)
	}
	s.Refused = f.refusal("signIn.refused", s.Refused)
	return s
}

func (f *form) deviceFits(d *custody.Device) bool {
	return d.Code != "" && credential(d.Code, bounds.Token) && d.UserCode != "" && line(d.UserCode, bounds.UserCode) &&
		d.IntervalSeconds >= 0 && d.IntervalSeconds <= longestInterval && f.ends(d.ExpiresAt, longestCode) && len(d.Asked) <= mostScopes && isOrigin(d.From)
}

// ends tells that an end is not further ahead than the longest life of its token or code.
func (f *form) ends(at time.Time, life time.Duration) bool { return at.Sub(f.now) <= life+clockSlack }

// line returns a text that is shown to people, on one line and cut to what the API takes of it.
func (f *form) line(where, text string) string {
	if line(text, bounds.Message) {
		return text
	}
	f.leave(where)
	return bounds.Shorten(bounds.Printable(text), bounds.Message)
}

// texts keeps the last ones of a list, and of these the ones that are as short as they must be.
func (f *form) texts(where string, list []string, atMost, longest int) []string {
	return keepLast(&f.left, where, list, atMost, func(text string) bool { return len(text) <= longest })
}

// credential tells whether a text can be one that a platform has issued: VSCHAR alone.
func credential(text string, longest int) bool {
	return len(text) <= longest && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

func isOrigin(o custody.Origin) bool {
	return line(o.Marketplace, 2*bounds.Name) && line(o.Server, bounds.Name) && line(o.Chosen, bounds.Name)
}

// line tells whether a text can be shown on one line.
func line(text string, longest int) bool {
	return len(text) <= longest && bounds.Printable(text) == text
}

func all[T any](list []T, fits func(T) bool) bool {
	return !slices.ContainsFunc(list, func(item T) bool { return !fits(item) })
}
