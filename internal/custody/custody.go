package custody

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Custody is the operator's record of an account: the grant in use, the current tokens, and all else that must not be
// lost in a restart. The zero value means that nothing was obtained yet.
type Custody struct {
	// Version is that of the document.
	Version int `json:"version,omitempty"`
	// Witness names the account and the cluster that it was written for; zero in a document from before.
	Witness Witness `json:"witness,omitzero"`
	// Serial counts each stored set of tokens, and each refresh token that was given up. The account's status tells it too, so
	// that an older Custody is recognized.
	Serial int64 `json:"serial,omitempty"`
	// Grant is the one in use.
	Grant `json:",inline"`
	// Restored tells that RefreshToken, or the refresh token that the user had brought by then, is of a Custody that was older
	// than the status; nil when it is not.
	Restored *Restored `json:"restored,omitempty"`
	// Candidate is a grant that was begun and is not in use, since its account is not known yet, or is not the
	// expected one; nil when there is none. Its refresh token is not lost, and the grant in use stays.
	Candidate *Grant `json:"candidate,omitempty"`
	// Aside is a grant that a renewal brought for another account than the expected one: neither published nor sent, and kept, since
	// it may be the only copy; nil when there is none.
	Aside *Grant `json:"aside,omitempty"`
	// Verified is the last test of the connection; nil when there was none since the tokens were issued.
	Verified *Verification `json:"verified,omitempty"`
	// PreviousSecretOf is the digest of the client secrets of which client_secret was refused while client_secret_previous was
	// accepted; in the format before digests, and of a Marketplace's own application, the version of their Secret.
	PreviousSecretOf string `json:"previousSecretOf,omitempty"`
	// ClientSecret tells since when the client secret is the one that is used; nil where the platform ends none.
	ClientSecret *Since `json:"clientSecret,omitempty"`
	// Journal is a renewal of the grant in use under way, ImportJournal the first use of a refresh token that the user
	// brought; nil when none is. Each speaks of its own token, so that sending one does not forget the other.
	Journal       *Journal `json:"journal,omitempty"`
	ImportJournal *Journal `json:"importJournal,omitempty"`
	// SpentImports are refresh tokens that the user brought and that were used up, the latest last.
	SpentImports []string `json:"spentImports,omitempty"`
	// RefusalKey is the random key of the digests that refusals keep; nil before the first refusal. Without it the
	// digest of a weak password could be guessed by comparing two accounts.
	RefusalKey []byte `json:"refusalKey,omitempty"`
	// Logins remembers how logins of grant Password went.
	Logins Logins `json:"logins,omitzero"`
	// Refusal is a refusal of the grant in use, of the login or of the application that only a change can cure; nil
	// when there is none.
	Refused *Refusal `json:"refused,omitempty"`
	// RefusedImport is a refusal of a refresh token that the user brought; the grant in use may go on.
	RefusedImport *Refusal `json:"refusedImport,omitempty"`
	// NotBefore is the end of a wait that the marketplace demanded, and DemandedAt when it did.
	NotBefore  time.Time `json:"notBefore,omitzero"`
	DemandedAt time.Time `json:"demandedAt,omitzero"`
	// HandledRenew is the last request for a renewal that was acted on, stored with its result; HandledSignIn the last one
	// for a sign-in.
	HandledRenew  string `json:"handledRenew,omitempty"`
	HandledSignIn string `json:"handledSignIn,omitempty"`
	// Consents counts the sign-ins that brought tokens, whatever became of the tokens, and Accepted is the number of the last one
	// whose grant was put into use. It stays when another kind of grant takes over.
	Consents int64 `json:"consents,omitempty"`
	Accepted int64 `json:"accepted,omitempty"`
	// SignIn holds the device code, links and visits that wait for a person, and the refusal of the last sign-in.
	SignIn SignIn `json:"signIn,omitzero"`
	// Seen is what the Secrets that users wrote said when the Custody was written last with their contents at hand.
	Seen Seen `json:"seen,omitzero"`
}

// maxSpentImports is how many used-up refresh tokens are remembered: enough for the history of a Git repository
// that is rolled back.
const maxSpentImports = 16

// WithSpentImport remembers that a refresh token which the user brought was used up.
func (c Custody) WithSpentImport(imported string) Custody {
	if imported == "" || slices.Contains(c.SpentImports, imported) {
		return c
	}
	spent := append(slices.Clone(c.SpentImports), imported)
	c.SpentImports = spent[max(0, len(spent)-maxSpentImports):]
	return c
}

// Witness names the account that a Custody was written for. Another one means that it was restored from a backup, or moved.
type Witness struct {
	// Account is the UID of the account.
	Account types.UID `json:"account,omitempty"`
	// Cluster identifies the cluster; empty where that was not known.
	Cluster string `json:"cluster,omitempty"`
}

// Restored marks a refresh token that may be spent, since its Custody was restored from a backup, moved or lost.
type Restored struct {
	// Moved tells that the Custody was written for another account, or in another cluster.
	Moved bool `json:"moved,omitempty"`
	// Told tells that the account has said so. A request from before that does not answer it.
	Told bool `json:"told,omitempty"`
	// Imported is the refresh token that the user's Secret held when it did.
	Imported string `json:"imported,omitempty"`
}

// Outdated is a Custody that is older than the given serial: it goes on from there, without the tokens, refusals and waits that were replaced since then.
func (c Custody) Outdated(serial int64) Custody {
	c.Serial, c.Restored = serial, &Restored{}
	c.Tokens, c.Candidate, c.Verified, c.Refused, c.RefusedImport, c.NotBefore = nil, nil, nil, nil, nil, time.Time{}
	return c
}

// Recovered is the Custody after another refresh token has taken the place of one that was restored. The one that the user had brought may be
// spent nonetheless.
func (c Custody) Recovered() Custody {
	if c.Restored != nil && c.Restored.Imported != c.Imported {
		c = c.WithSpentImport(c.Restored.Imported)
	}
	c.Restored = nil
	return c
}
