package tokensecret

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// custodyKey is the one key of the grant Secret. A single document is read and written whole, so that its
// parts cannot disagree.
const custodyKey = "grant.json"

// CustodyVersion is the version of the document that this program writes. One without a version is from before versions; of one
// with a later version this program does not know what it means.
const CustodyVersion = 1

// Custody is what the operator keeps of an account: the grant in use, the current tokens, and what it must not
// forget in a restart. The zero value means that nothing was obtained yet.
type Custody struct {
	// Version is that of the document.
	Version int `json:"version,omitempty"`
	// Witness tells for which account, in which cluster, it was written; zero in a document from before.
	Witness Witness `json:"witness,omitzero"`
	// Serial counts what was used up: each stored set of tokens, and each refresh token that was given up. The account's status
	// tells it too, so that an older Custody is known for what it is.
	Serial int64 `json:"serial,omitempty"`
	// Grant is the one in use.
	Grant `json:",inline"`
	// Restored tells that RefreshToken, or the refresh token that the user had brought by then, is of a Custody that was older
	// than the status; nil when it is not.
	Restored *Restored `json:"restored,omitempty"`
	// Candidate is a grant that was begun and is not in use, since whose it is has not been seen, or is not
	// who is expected; nil when there is none. Its refresh token is not lost, and the grant in use stays.
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
	// RefusalKey is the random key under which refusals keep a digest of what was refused; nil before the first one. Without it the
	// digest of a weak password could be guessed by comparing two accounts.
	RefusalKey []byte `json:"refusalKey,omitempty"`
	// Logins is what is known of the logins of grant Password.
	Logins Logins `json:"logins,omitzero"`
	// Refused is a refusal of the grant in use, of the login or of the application that only a change can cure; nil
	// when there is none.
	Refused *Refused `json:"refused,omitempty"`
	// RefusedImport is a refusal of a refresh token that the user brought; the grant in use may go on.
	RefusedImport *Refused `json:"refusedImport,omitempty"`
	// NotBefore is the end of a wait that the marketplace demanded, and DemandedAt when it did.
	NotBefore  time.Time `json:"notBefore,omitzero"`
	DemandedAt time.Time `json:"demandedAt,omitzero"`
	// HandledRenew is the last request for a renewal that was acted on, stored with its result; HandledSignIn the last one
	// for a sign-in.
	HandledRenew  string `json:"handledRenew,omitempty"`
	HandledSignIn string `json:"handledSignIn,omitempty"`
	// Consents counts the sign-ins that brought tokens, whatever became of those, and Accepted is the number of the last one
	// whose grant was put into use. It stays when another kind of grant takes over.
	Consents int64 `json:"consents,omitempty"`
	Accepted int64 `json:"accepted,omitempty"`
	// SignIn is what waits for a person, and what became of the last one who tried.
	SignIn SignIn `json:"signIn,omitzero"`
}

// maxSpentImports bounds what is remembered of used-up refresh tokens: enough for the history of a Git repository
// that somebody rolls back.
const maxSpentImports = 16

// Spend remembers that a refresh token which the user brought was used up.
func (c *Custody) Spend(imported string) {
	if imported == "" || slices.Contains(c.SpentImports, imported) {
		return
	}
	spent := append(slices.Clone(c.SpentImports), imported)
	c.SpentImports = spent[max(0, len(spent)-maxSpentImports):]
}

// Witness tells for which account a Custody was written. Another one means that it was restored from a backup, or moved.
type Witness struct {
	// Account is the UID of the account.
	Account types.UID `json:"account,omitempty"`
	// Cluster identifies the cluster; empty where that was not known.
	Cluster string `json:"cluster,omitempty"`
}

// Restored is what became of a refresh token that may be spent, since its Custody was restored from a backup, moved or lost.
type Restored struct {
	// Moved tells that the Custody was written for another account, or in another cluster.
	Moved bool `json:"moved,omitempty"`
	// Told tells that the account has said so. Before that, nobody can have answered.
	Told bool `json:"told,omitempty"`
	// Imported is the refresh token that the user's Secret held when it did.
	Imported string `json:"imported,omitempty"`
}

// Outdate makes a Custody that is older than the given serial go on from there, without what was replaced since then.
func (c *Custody) Outdate(serial int64) {
	c.Serial, c.Restored = serial, &Restored{}
	c.Tokens, c.Candidate, c.Verified, c.Refused, c.RefusedImport, c.NotBefore = nil, nil, nil, nil, nil, time.Time{}
}

// Recover is called when another refresh token has taken the place of one that was restored. That which the user had brought may be spent
// nonetheless.
func (c *Custody) Recover() {
	if c.Restored != nil && c.Restored.Imported != c.Imported {
		c.Spend(c.Restored.Imported)
	}
	c.Restored = nil
}

// Grant is what a consent, a login or an imported refresh token has become.
type Grant struct {
	// RefreshToken is the one to use next; empty where the grant has none.
	RefreshToken string `json:"refreshToken,omitempty"`
	// Imported is the refresh token that the user brought and this grant began with. As long as the user's
	// Secret still holds it, RefreshToken is its successor.
	Imported string `json:"imported,omitempty"`
	// Consent is the number of the sign-in that it began with; zero for any other beginning.
	Consent int64 `json:"consent,omitempty"`
	// ClientID is the application that it was given to, and the only one that can renew it.
	ClientID string `json:"clientID,omitempty"`
	// Asked are the scopes that the person was asked for; nil when none were named, or nobody was asked.
	Asked []string `json:"asked,omitzero"`
	// Unverified tells that its ID token could not be verified yet, of a Candidate.
	Unverified bool `json:"unverified,omitempty"`
	// GrantedAt is when the person consented, or when the grant was first used.
	GrantedAt time.Time `json:"grantedAt,omitzero"`
	// AuthorizationExpiresAt is the end that the marketplace's answer named; zero when it named none.
	AuthorizationExpiresAt time.Time `json:"authorizationExpiresAt,omitzero"`
	// AuthorizationEndUnreadable tells that it named an end in a way that cannot be read.
	AuthorizationEndUnreadable bool `json:"authorizationEndUnreadable,omitempty"`
	// Account is whose it is, as far as known.
	Account Account `json:"account,omitzero"`
	// Subject is issuer and sub of its ID token, which every renewal repeats (OpenID Connect Core section 12.2); empty where there
	// is none.
	Subject string `json:"subject,omitempty"`
	// Identified tells that an identity request has accepted an access token of this grant.
	Identified bool `json:"identified,omitempty"`
	// Tokens are the current ones; nil when there are none.
	Tokens *Tokens `json:"tokens,omitempty"`
}

// Tokens are what the marketplace issued last.
type Tokens struct {
	AccessToken string `json:"accessToken"`
	IDToken     string `json:"idToken,omitempty"`
	// IDTokenWithheld says why the ID token is not published; empty where it may be.
	IDTokenWithheld string `json:"idTokenWithheld,omitempty"`
	TokenType       string `json:"tokenType,omitempty"`
	Scope           string `json:"scope,omitempty"`
	// For identifies the spec that the tokens were obtained for.
	For       string    `json:"for,omitempty"`
	IssuedAt  time.Time `json:"issuedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// EndUnreadable tells that the marketplace told the end in a way that cannot be read, so that ExpiresAt is early.
	EndUnreadable bool `json:"endUnreadable,omitempty"`
	// RenewAt was drawn when the tokens were stored.
	RenewAt time.Time `json:"renewAt"`
}

// Account is whose tokens they are.
type Account struct {
	ID    string `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
	// By is what told ID: identifiers of one account that different sources tell need not agree. Empty where it is not known.
	By string `json:"by,omitempty"`
}

// SameSource tells whether the identifiers of two Accounts may be compared.
func (a Account) SameSource(b Account) bool { return a.By == "" || b.By == "" || a.By == b.By }

// Verification is a test of the connection that somebody asked for.
type Verification struct {
	At time.Time `json:"at"`
	// Failure says why it failed; empty when it did not.
	Failure string `json:"failure,omitempty"`
	// Refusals counts, to two, how often the marketplace refused the access token, a minute apart.
	Refusals int `json:"refusals,omitempty"`
	// Unreachable tells that the marketplace could not be asked, Unsupported that it has no call for it.
	Unreachable bool `json:"unreachable,omitempty"`
	Unsupported bool `json:"unsupported,omitempty"`
}

// Since tells since when a credential is what it is. Tools that set labels make the Secret look younger.
type Since struct {
	// Of is the digest of the credential; of a Marketplace's own application, the version of its Secret.
	Of string    `json:"of"`
	At time.Time `json:"at"`
}

// Journal records, before a single-use refresh token is spent, that it is about to be.
type Journal struct {
	// StartedAt is when the token was first sent.
	StartedAt time.Time `json:"startedAt"`
	// LastAt is when it was sent last, and Holder names the process that did.
	LastAt time.Time `json:"lastAt,omitzero"`
	Holder string    `json:"holder,omitempty"`
	// Attempts counts how often it was sent. It also makes each attempt a write of its own, since the API
	// server drops writes that change nothing.
	Attempts int `json:"attempts"`
	// Imported is the token, where it is one that the user brought and not RefreshToken of the Custody.
	Imported string `json:"imported,omitempty"`
	// Lost tells that its answer is lost and no grace helps: nothing but a last resort sends the token again.
	Lost bool `json:"lost,omitempty"`
	// LastResorts counts how often it was sent since then.
	LastResorts int `json:"lastResorts,omitempty"`
	// Retried is read alone, of journals from before: it was sent again after the platform's grace had passed.
	Retried bool `json:"retried,omitempty"`
}

// Refused is a refusal that only a change can cure.
type Refused struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
	// Digests say what was refused, the latest last: the refusal stands while what would be sent is one of them. They are empty in
	// the format before digests.
	Digests []string `json:"digests,omitempty"`
	// Inputs are the versions of what was used. A refusal without digests stands until the version of the Secret that was refused
	// changes.
	Inputs Inputs `json:"inputs"`
	// Tries counts how often in a row the account has asked again by itself and was refused, of ApplicationRejected.
	Tries int32 `json:"tries,omitempty"`
	// Imported is the refresh token that was refused, of a RefusedImport.
	Imported string `json:"imported,omitempty"`
	// Restored tells that the refresh token may be spent, since it is of a restored Custody; of RenewalOutcomeUnknown. A request
	// makes the operator try all the same.
	Restored bool `json:"restored,omitempty"`
	// AccountID is who signed in, where another was expected; empty when nobody said who.
	AccountID string `json:"accountID,omitempty"`
}

// Inputs are the versions of what a token request is made of.
type Inputs struct {
	Spec        string `json:"spec,omitempty"`
	Marketplace string `json:"marketplace,omitempty"`
	Application string `json:"application,omitempty"`
	Credentials string `json:"credentials,omitempty"`
}

// NewerError is a grant Secret that a later version of this program wrote.
type NewerError struct {
	// Secret is its name, and Version that of the document.
	Secret  string
	Version int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("Secret %q was written by a later version of tokenkeeper (format %d, this one knows %d), and nothing is done with it; "+
		"run that version again, or a later one", e.Secret, e.Version, CustodyVersion)
}

// IsNewer tells whether an error is a NewerError.
func IsNewer(err error) bool {
	_, newer := errors.AsType[*NewerError](err)
	return newer
}

// DecodeCustody reads a grant Secret; an absent one (nil) is the zero Custody. Its error never holds data. With a NewerError
// comes what could be read of the document all the same, so that an answer in hand can be stored on top of it.
func DecodeCustody(secret *corev1.Secret) (Custody, error) {
	var custody Custody
	if secret == nil {
		return custody, nil
	}
	if secret.Type != v1alpha1.SecretTypeGrant {
		return custody, fmt.Errorf("Secret %q must be of type %s", secret.Name, v1alpha1.SecretTypeGrant)
	}
	document, ok := secret.Data[custodyKey]
	if !ok {
		return custody, nil
	}
	if len(document) > bounds.GrantSecret {
		return custody, fmt.Errorf("Secret %q must have at most %d KiB in %s; restore it, or delete it and supply a new grant: what was single-use in it is spent",
			secret.Name, bounds.GrantSecret>>10, custodyKey)
	}
	err := json.Unmarshal(document, &custody)
	if custody.Version > CustodyVersion || err != nil && versionOf(document) > CustodyVersion {
		return decodeNewer(document), &NewerError{Secret: secret.Name, Version: versionOf(document)}
	}
	if err != nil {
		return Custody{}, errors.New("Secret \"" + secret.Name + "\" must hold a readable " + custodyKey +
			"; restore it, or delete it and supply a new grant: what was single-use in it is spent")
	}
	custody.Version = CustodyVersion
	for _, entry := range []*Journal{custody.Journal, custody.ImportJournal} {
		entry.upgrade()
	}
	return custody, nil
}

// upgrade reads an entry of a Custody from before last resorts.
func (j *Journal) upgrade() {
	if j != nil && j.Retried {
		j.Retried, j.Lost, j.LastResorts = false, true, max(j.LastResorts, 1)
	}
}

// EncodeCustody writes custody into a new grant Secret of the account, instead of held, the Secret that custody was read from, so
// that a write loses against any other since; nil to create the Secret. Of a document that a later version wrote, what this one
// does not know stays as it is.
func EncodeCustody(account *v1alpha1.MarketplaceAccount, owner metav1.OwnerReference, custody Custody, held *corev1.Secret) (*corev1.Secret, error) {
	version := ""
	if held != nil {
		version = held.ResourceVersion
	}
	newer := custody.Version > CustodyVersion
	custody.Version = max(custody.Version, CustodyVersion)
	encode := func() ([]byte, error) {
		document, err := json.Marshal(custody)
		if err == nil && newer && held != nil {
			document, err = onTopOf(held.Data[custodyKey], document)
		}
		return document, err
	}
	document, err := encode()
	for err == nil && len(document) > bounds.GrantSecret && len(custody.SpentImports) > 0 { // the oldest matter least
		custody.SpentImports = custody.SpentImports[(len(custody.SpentImports)+1)/2:]
		document, err = encode()
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the grant Secret: %w", err)
	}
	if len(document) > bounds.GrantSecret {
		return nil, fmt.Errorf("the tokens of this grant take %d KiB, and the grant Secret may have %d KiB", len(document)>>10, bounds.GrantSecret>>10)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:            account.GrantSecretName(),
			Namespace:       account.Namespace,
			ResourceVersion: version,
			Labels:          labels(account, nil),
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Type: v1alpha1.SecretTypeGrant,
		Data: map[string][]byte{custodyKey: document},
	}, nil
}
