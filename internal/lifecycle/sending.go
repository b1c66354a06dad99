package lifecycle

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// Sending is the record before a refresh token is sent.
type Sending struct {
	Change
	// Forbidden tells that the token must not be sent, and Change says so.
	Forbidden bool
	// Entry is the journal once Change is stored, and Former the journal before; both are nil where nothing is journaled.
	Entry, Former *custody.Journal
}

// BeforeSending is the record that must be stored before tokens are asked for. Where a single-use refresh token is sent, that proves the store
// writable, and makes every writer with an older view lose.
func BeforeSending(f facts.Facts) Sending {
	if f.UnprovenGrant() && f.NewImport() == "" {
		return Sending{Change: Change{attempt: failed(f.MissingGrant())}, Forbidden: true}
	}
	if !f.Request.Rotates() {
		return Sending{}
	}
	if f.MayBeSpent() {
		return Sending{Change: refuseRestored(f).by(states.Sending), Forbidden: true}
	}
	kept := f.Custody
	former, reuse := f.Journal(), f.Reuse()
	if f.FromBackup() {
		kept = f.WithoutRestored(kept)
		former, reuse = nil, facts.FirstUse
	}
	entry := custody.Journal{StartedAt: f.Now, Imported: f.NewImport()}
	if former != nil {
		entry = *former
		entry.StartedAt = facts.NotAfter(former.StartedAt, f.Now)
	}
	if reuse == facts.LastResort {
		if !entry.Lost {
			return Sending{Change: rest(f).by(states.Sending), Forbidden: true}
		}
		entry.LastResorts++
	}
	entry.Attempts++
	entry.LastAt, entry.Holder = f.Now, f.Holder
	if other := kept.ImportJournal; entry.Imported != "" && other != nil && other.Imported != entry.Imported {
		kept = kept.WithSpentImport(other.Imported) // a token that may be spent stays so when the user brings it back
	}
	return Sending{Change: storeOnce(f.WithJournal(kept, &entry), Outcome{}).by(states.Sending), Entry: &entry, Former: former}
}

// rest leaves a single-use refresh token alone that was sent and whose answer is lost, until its end of use. The serial tells an
// older custody, in which it was not sent yet, from this one.
func rest(f facts.Facts) Change {
	kept := withoutEarlierSignIn(f, withHandledRenew(f, f.Custody), true)
	kept.Serial++
	entry := *f.Journal()
	entry.Lost = true
	entry.StartedAt, entry.LastAt = facts.NotAfter(entry.StartedAt, f.Now), facts.NotAfter(entry.LastAt, f.Now)
	kept = f.WithJournal(kept, &entry)
	after := f
	after.Custody = kept
	return Change{Store: &kept, OnlyCopy: true, attempt: failed(after.PermanentFailure())}
}

// CountRest counts the rest of a refresh token, or the wait of a login, from now on, where the clock was set back.
func CountRest(f facts.Facts) Change {
	if doubt := f.LoginDoubt(); doubt != nil {
		kept, again := f.Custody, *doubt
		again.LastAt = f.Now
		kept.Logins = kept.Logins.With(again)
		return storeOnce(kept, Outcome{}).by(states.RestCounted)
	}
	entry := *f.Journal()
	entry.StartedAt, entry.LastAt = facts.NotAfter(entry.StartedAt, f.Now), f.Now
	return storeOnce(f.WithJournal(f.Custody, &entry), Outcome{}).by(states.RestCounted)
}

// refuseRestored does not spend a refresh token that may be spent already.
func refuseRestored(f facts.Facts) Change {
	says := "is older than what this account had, as after the restore of a backup: its single-use refresh token may be spent"
	if seen := f.Account.Status.AccessToken; seen != nil && !seen.IssuedTime.IsZero() {
		says = fmt.Sprintf("is older than the token of %s that this account had, as after the restore of a backup: its single-use refresh token "+
			"may be spent", renewal.ClockTime(seen.IssuedTime.Time))
	}
	if f.Custody.Restored.Moved {
		says = "was written for another account or in another cluster, as after the restore of a backup or a move: its single-use refresh token " +
			"may be spent, or in use there"
	}
	why := facts.Failure{Reason: v1alpha1.ReasonRenewalOutcomeUnknown, Message: fmt.Sprintf("Secret %q %s, and sending it again could end the grant. Nothing more is tried "+
		"until %s; to try all the same, annotate the account with %s=<anything new>", f.Account.GrantSecretName(), says, f.HowToRenewGrant(), v1alpha1.AnnotationRenew)}
	kept := f.Custody
	kept.Restored = &custody.Restored{Moved: kept.Restored.Moved, Told: true, Imported: f.Request.Imported.RefreshToken}
	if imported := f.NewImport(); imported != "" {
		kept, kept.RefusedImport = refusal(f, kept, why, f.ImportParts(why.Reason), kept.RefusedImport)
		kept.RefusedImport.Imported, kept.RefusedImport.Restored = imported, true
	} else {
		kept, kept.Refused = refusal(f, kept, why, f.RefusedParts(why.Reason), kept.Refused)
		kept.Refused.Restored = true
	}
	return storeRefusal(f, why, kept)
}

// storeRefusal stores a refusal, with the request that has led to it.
func storeRefusal(f facts.Facts, why facts.Failure, kept custody.Custody) Change {
	kept = withoutEarlierSignIn(f, withHandledRenew(f, kept), reasons.Of(why.Reason).EndsGrant)
	return Change{Store: &kept, OnlyCopy: true, attempt: failed(&why)}
}

// StorePending is the change of an earlier look that could not be stored then.
func StorePending(f facts.Facts, next custody.Custody) Change {
	held := f.Custody.Tokens
	if next.Tokens == nil || held != nil && held.AccessToken == next.Tokens.AccessToken {
		return storeOnce(next, Outcome{}).by(states.PendingStored)
	}
	return storeOnce(next, obtained(next.Serial == 1)).by(states.PendingStored)
}
