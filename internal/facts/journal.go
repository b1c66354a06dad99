package facts

import "github.com/tokenkeeper/tokenkeeper/internal/custody"

// Restored tells that the refresh token in use, or the one that the user had brought, is single-use and of a custody that was older than
// the status, as after the restore of a backup or the loss of the grant Secret: it may be spent.
func (f *Facts) Restored() bool { return f.Custody.Restored != nil && f.Request.Rotates() }

// FromBackup tells that the token to send was restored, and that the user has not brought it since the account said so.
func (f *Facts) FromBackup() bool {
	if !f.Restored() {
		return false
	}
	restored, imported := f.Custody.Restored, f.NewImport()
	return !restored.Told || imported == "" || imported == restored.Imported
}

// MayBeSpent tells that the token to send was restored, unless a person asks to try all the same, after the account had said so. A request
// from before is no answer to it.
func (f *Facts) MayBeSpent() bool {
	return f.FromBackup() && !(f.Custody.Restored.Told && f.RenewalRequested())
}

// WithoutRestored makes a restored token that a person asks to try all the same one like any other, of which nothing is on record.
func (f *Facts) WithoutRestored(kept custody.Custody) custody.Custody {
	if kept.Restored = nil; f.NewImport() == "" {
		kept.Refused, kept.Journal = nil, nil
		return kept
	}
	kept.Restored = &custody.Restored{Moved: f.Custody.Restored.Moved, Told: true} // the one in use may be spent as before
	kept.RefusedImport, kept.ImportJournal = nil, nil
	return kept
}

// Journal is the journal of the token to send; nil when there is none.
func (f *Facts) Journal() *custody.Journal {
	if f.NewImport() == "" {
		return f.Custody.Journal
	}
	return f.importEntry()
}

// WithJournal puts an entry, or none, on record of the token to send.
func (f *Facts) WithJournal(kept custody.Custody, entry *custody.Journal) custody.Custody {
	if f.NewImport() == "" {
		kept.Journal = entry
	} else {
		kept.ImportJournal = entry
	}
	return kept
}
