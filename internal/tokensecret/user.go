package tokensecret

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// Application is a registered OAuth application.
type Application struct {
	ClientID, ClientSecret string
	// PreviousSecret is the secret before a rotation; empty when there is none.
	PreviousSecret string
	// SecretExpiresAt is when the client secret ends; zero when the Secret does not say.
	SecretExpiresAt time.Time
	// SecretNeverExpires tells that the Secret says so.
	SecretNeverExpires bool
	// Misdated is the complaint about a time that is left out, since it cannot be read; empty where there is none.
	Misdated string
	// SecretSince is when the client secret was put into the Secret, as far as the Secret tells.
	SecretSince time.Time
	// RedirectURI is the redirect URI that the application is registered with instead of the portal's callback; usually empty.
	RedirectURI string
	// ApplicationID is the identifier that some platforms want instead of the client identifier at sign-in; usually empty.
	ApplicationID string
	// Retry is the request on the Secret to try again what was refused; usually empty.
	Retry string
}

// Login is a user name and its password.
type Login struct {
	Username, Password string
	// Retry is the request on the Secret to try again what was refused; usually empty.
	Retry string
}

// Import is a refresh token that was obtained elsewhere.
type Import struct {
	RefreshToken string
	// GrantedAt is when the person consented; zero when the Secret does not say.
	GrantedAt time.Time
	// Misdated is the complaint about a time that is left out, since it cannot be read; empty where there is none.
	Misdated string
}

// DecodeApplication reads the Secret of an application. A public client needs no client_secret. clientIDKey is the key of ApplicationID;
// empty means application_id.
func DecodeApplication(secret *corev1.Secret, public bool, clientIDKey string) (Application, error) {
	reader := reader{secret: secret}
	application := Application{
		ClientID:       reader.required(v1alpha1.ApplicationKeyClientID),
		PreviousSecret: reader.optional(v1alpha1.ApplicationKeyClientSecretPrevious),
		SecretSince:    since(secret, v1alpha1.ApplicationKeyClientSecret),
		RedirectURI:    reader.optional(v1alpha1.ApplicationKeyRedirectURI),
		ApplicationID:  reader.optional(cmp.Or(clientIDKey, v1alpha1.ApplicationKeyApplicationID)),
		Retry:          secret.Annotations[v1alpha1.AnnotationRetry],
	}
	application.SecretExpiresAt, application.SecretNeverExpires, application.Misdated = timeIn(secret, v1alpha1.ApplicationKeyClientSecretExpiresAt)
	if public {
		application.ClientSecret = reader.optional(v1alpha1.ApplicationKeyClientSecret)
	} else {
		application.ClientSecret = reader.required(v1alpha1.ApplicationKeyClientSecret)
	}
	return application, reader.err
}

// DecodeLogin reads the Secret of grant Password.
func DecodeLogin(secret *corev1.Secret) (Login, error) {
	reader := reader{secret: secret}
	return Login{
		Username: reader.text(v1alpha1.PasswordKeyUsername, userName),
		Password: reader.text(v1alpha1.PasswordKeyPassword, password),
		Retry:    secret.Annotations[v1alpha1.AnnotationRetry],
	}, reader.err
}

// DecodeImport reads the Secret of grant RefreshToken.
func DecodeImport(secret *corev1.Secret) (Import, error) {
	reader := reader{secret: secret}
	imported := Import{RefreshToken: reader.required(v1alpha1.RefreshTokenKeyRefreshToken)}
	imported.GrantedAt, _, imported.Misdated = timeIn(secret, v1alpha1.RefreshTokenKeyGrantedAt)
	return imported, reader.err
}

// reader reads keys of a Secret and keeps the first complaint.
type reader struct {
	secret *corev1.Secret
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("Secret %q "+format, append([]any{r.secret.Name}, args...)...)
	}
}

// optional returns an identifier or a credential that a platform has issued; empty where there is none.
func (r *reader) optional(key string) string {
	value, fault := issuedText.read(r.secret.Data[key])
	if fault != "" {
		r.fail("must have plain text in key %q, which %s; write the value anew, as UTF-8 and without anything around it", key, fault)
	}
	return value
}

func (r *reader) required(key string) string { return r.text(key, issuedText) }

// text returns a value that must be there.
func (r *reader) text(key string, kind textKind) string {
	value, fault := kind.read(r.secret.Data[key])
	switch {
	case fault != "":
		r.fail("must have plain text in key %q, which %s; write the value anew, as UTF-8 and without anything around it", key, fault)
	case strings.TrimSpace(value) == "":
		r.fail("must have a non-empty key %q", key)
	}
	return value
}

// timeIn is the moment in a key of a Secret; zero where the Secret does not say. never tells that it says that there is none: 0, as RFC 7591 section 3.2.1
// has it. A moment is only counted from or to, so one that cannot be read is a complaint, and stops nothing.
func timeIn(secret *corev1.Secret, key string) (at time.Time, never bool, complaint string) {
	value, fault := issuedText.read(secret.Data[key])
	if fault == "" && (value == "" || value == "0") {
		return time.Time{}, value == "0", ""
	}
	at, err := momentOf(value)
	at = at.UTC()
	switch {
	case err == nil && at.IsZero(): // how some languages write that there is none
		return at, false, ""
	case err != nil, at.Year() < 1970:
		return time.Time{}, false, fmt.Sprintf("Secret %q must have a time such as 2026-01-31T12:00:00Z in key %q", secret.Name, key)
	case at.Year() > 9999: // west of Greenwich, where "never" was meant
		at = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	return at, false, ""
}

// leastEpoch is the least number of seconds that is taken for a moment, of 2001, and mostEpoch the greatest, of 2286: less is a lifetime, and more is in
// milliseconds.
const leastEpoch, mostEpoch = 1_000_000_000, 9_999_999_999

// momentOf reads a moment as RFC 3339 has it, a date, of which it is the beginning in UTC, or seconds since 1970 as RFC 7591 section 3.2.1 has them.
func momentOf(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= leastEpoch && seconds <= mostEpoch {
		return time.Unix(seconds, 0), nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	return time.Parse(time.RFC3339, text)
}

// Used returns the part of a user's Secret that the operator reads: these keys, and when the client secret was changed. Its error
// tells what is too large.
func Used(secret *corev1.Secret, keys ...string) (*corev1.Secret, error) {
	used := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: secret.Name, Namespace: secret.Namespace, ResourceVersion: secret.ResourceVersion,
			CreationTimestamp: metav1.NewTime(since(secret, v1alpha1.ApplicationKeyClientSecret)),
		},
		Data: map[string][]byte{},
	}
	all := 0
	for _, key := range keys {
		value, ok := secret.Data[key]
		if len(value) > bounds.Credential {
			return nil, fmt.Errorf("Secret %q must have at most %d KiB in key %q", secret.Name, bounds.Credential>>10, key)
		}
		if _, again := used.Data[key]; !ok || again {
			continue
		}
		used.Data[key] = value
		if all += len(value); all > bounds.UserSecret {
			return nil, fmt.Errorf("Secret %q must have at most %d KiB in all keys that are read", secret.Name, bounds.UserSecret>>10)
		}
	}
	return used, nil
}

// since is when a key of a Secret was last changed: when the last of its writers changed any of their fields,
// which the API server records, or else when the Secret was made.
func since(secret *corev1.Secret, key string) time.Time {
	at := secret.CreationTimestamp.Time
	for _, entry := range secret.ManagedFields {
		if entry.Time == nil || entry.FieldsV1 == nil || !strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+key+`"`) {
			continue
		}
		if entry.Time.After(at) {
			at = entry.Time.Time
		}
	}
	return at.UTC()
}
