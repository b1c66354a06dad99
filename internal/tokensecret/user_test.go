package tokensecret_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// secretWith is a Secret that a user wrote.
func secretWith(data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "my-secret", Namespace: "shop"}, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

// check compares an outcome, and looks for values in the error: it may hold none.
func check[T any](t *testing.T, data map[string]string, want T, wantErr string, got T, err error) {
	t.Helper()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if diff := cmp.Diff(wantErr, text); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if err == nil {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for key, value := range data {
		if value = strings.TrimSpace(value); value != "" && strings.Contains(text, value) {
			t.Errorf("the error holds the value of %s: %s", key, text)
		}
	}
}

func TestDecodeApplication(t *testing.T) {
	const misdated = `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "client_secret_expires_at"`
	end := time.Date(2026, time.December, 31, 23, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		data   map[string]string
		public bool
		want   tokensecret.Application
		err    string
	}{
		"id and secret": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t"},
		},
		"everything, and what is none of our business": {
			data: map[string]string{
				"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_previous": "0ld", "client_secret_expires_at": "2026-12-31T23:00:00Z",
				"redirect_uri": "My_RuName", "application_id": "amzn1", "note": "x",
			},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", PreviousSecret: "0ld", SecretExpiresAt: end,
				RedirectURI: "My_RuName", ApplicationID: "amzn1"},
		},
		"white space around values, as files have it": {
			data: map[string]string{
				"client_id": "\tmy-client\r\n", "client_secret": " s3cr3t \n", "client_secret_previous": "\n", "client_secret_expires_at": "2026-12-31T23:00:00Z\n",
			},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", SecretExpiresAt: end},
		},
		"white space within a value stays": {
			data: map[string]string{"client_id": "my client", "client_secret": "s3 cr3t"},
			want: tokensecret.Application{ClientID: "my client", ClientSecret: "s3 cr3t"},
		},
		"a time in another zone": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "2027-01-01T00:00:00+01:00"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", SecretExpiresAt: end},
		},
		"a secret that never ends (RFC 7591)": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "0"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", SecretNeverExpires: true},
		},
		"a public client needs no secret": {
			data: map[string]string{"client_id": "my-client"}, public: true,
			want: tokensecret.Application{ClientID: "my-client"},
		},
		"a public client may have one all the same": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t"}, public: true,
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t"},
		},
		"nothing":                {err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"no id":                  {data: map[string]string{"client_secret": "s3cr3t"}, err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"an empty id":            {data: map[string]string{"client_id": "", "client_secret": "s3cr3t"}, err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"an id of white space":   {data: map[string]string{"client_id": " \n", "client_secret": "s3cr3t"}, err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"an id in other letters": {data: map[string]string{"CLIENT_ID": "my-client", "client_secret": "s3cr3t"}, err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"no secret":              {data: map[string]string{"client_id": "my-client"}, err: `Secret "my-secret" must have a non-empty key "client_secret"`},
		"an empty secret":        {data: map[string]string{"client_id": "my-client", "client_secret": ""}, err: `Secret "my-secret" must have a non-empty key "client_secret"`},
		"a secret of white space": {
			data: map[string]string{"client_id": "my-client", "client_secret": "\t \r\n"}, err: `Secret "my-secret" must have a non-empty key "client_secret"`,
		},
		"a public client without an id": {public: true, err: `Secret "my-secret" must have a non-empty key "client_id"`},
		"the end as a day": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "2026-12-31"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", SecretExpiresAt: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)},
		},
		"the end in seconds since 1970, as registrations answer": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "1798758000"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", SecretExpiresAt: time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)},
		},
		"a lifetime is no time": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "7776000"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", Misdated: misdated},
		},
		"nor are milliseconds": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "1798758000000"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", Misdated: misdated},
		},
		"nor is a file in UTF-16": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "\xff\xfe2\x000\x00"},
			want: tokensecret.Application{ClientID: "my-client", ClientSecret: "s3cr3t", Misdated: misdated},
		},
		"of several mistakes the first is told": {
			data: map[string]string{"client_secret": "\x00"}, err: `Secret "my-secret" must have a non-empty key "client_id"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeApplication(secretWith(test.data), test.public, "")
			check(t, test.data, test.want, test.err, got, err)
		})
	}
}

func TestDecodeLogin(t *testing.T) {
	tests := map[string]struct {
		data map[string]string
		want tokensecret.Login
		err  string
	}{
		"name and password": {
			data: map[string]string{"username": "seller@example.com", "password": "pa55"},
			want: tokensecret.Login{Username: "seller@example.com", Password: "pa55"},
		},
		"line ends, as editors add them": {
			data: map[string]string{"username": "seller@example.com\r\n", "password": "pa55\r\n\n"},
			want: tokensecret.Login{Username: "seller@example.com", Password: "pa55"},
		},
		"spaces around a password are part of it": {
			data: map[string]string{"username": " seller@example.com ", "password": "\t pa55 \n"},
			want: tokensecret.Login{Username: "seller@example.com", Password: "\t pa55 "},
		},
		"nothing":                    {err: `Secret "my-secret" must have a non-empty key "username"`},
		"no name":                    {data: map[string]string{"password": "pa55"}, err: `Secret "my-secret" must have a non-empty key "username"`},
		"a name of white space":      {data: map[string]string{"username": "\n", "password": "pa55"}, err: `Secret "my-secret" must have a non-empty key "username"`},
		"no password":                {data: map[string]string{"username": "seller"}, err: `Secret "my-secret" must have a non-empty key "password"`},
		"an empty password":          {data: map[string]string{"username": "seller", "password": ""}, err: `Secret "my-secret" must have a non-empty key "password"`},
		"a password of a line end":   {data: map[string]string{"username": "seller", "password": "\n"}, err: `Secret "my-secret" must have a non-empty key "password"`},
		"a password of white space":  {data: map[string]string{"username": "seller", "password": "  \t"}, err: `Secret "my-secret" must have a non-empty key "password"`},
		"a password under other key": {data: map[string]string{"username": "seller", "pass": "pa55"}, err: `Secret "my-secret" must have a non-empty key "password"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeLogin(secretWith(test.data))
			check(t, test.data, test.want, test.err, got, err)
		})
	}
}

func TestDecodeImport(t *testing.T) {
	const misdated = `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "granted_at"`
	tests := map[string]struct {
		data map[string]string
		want tokensecret.Import
		err  string
	}{
		"a token": {
			data: map[string]string{"refresh_token": "Atzr|x"}, want: tokensecret.Import{RefreshToken: "Atzr|x"},
		},
		"a token and the consent": {
			data: map[string]string{"refresh_token": " Atzr|x\n", "granted_at": "2026-03-01T13:00:00+01:00\n"},
			want: tokensecret.Import{RefreshToken: "Atzr|x", GrantedAt: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)},
		},
		"an empty time says nothing": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": " "}, want: tokensecret.Import{RefreshToken: "Atzr|x"},
		},
		"nothing":                {err: `Secret "my-secret" must have a non-empty key "refresh_token"`},
		"an empty token":         {data: map[string]string{"refresh_token": ""}, err: `Secret "my-secret" must have a non-empty key "refresh_token"`},
		"a token of white space": {data: map[string]string{"refresh_token": "\r\n"}, err: `Secret "my-secret" must have a non-empty key "refresh_token"`},
		"a time that is none": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": "yesterday"},
			want: tokensecret.Import{RefreshToken: "Atzr|x", Misdated: misdated},
		},
		"a time without a zone": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": "2026-03-01T13:00:00"},
			want: tokensecret.Import{RefreshToken: "Atzr|x", Misdated: misdated},
		},
		"the token in the place of the time": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": "Atzr|x"},
			want: tokensecret.Import{RefreshToken: "Atzr|x", Misdated: misdated},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeImport(secretWith(test.data))
			check(t, test.data, test.want, test.err, got, err)
		})
	}
}

func TestWhatEditorsAndShellsAddToUserSecrets(t *testing.T) {
	const advice = "; write the value anew, as UTF-8 and without anything around it"
	utf16 := func(text string) string { // little endian, as PowerShell writes
		var out strings.Builder
		for _, r := range text {
			out.WriteByte(byte(r))
			out.WriteByte(0)
		}
		return out.String()
	}
	tests := map[string]struct {
		written string
		issued  string // what a client_id, a client_secret or a refresh token becomes
		fault   string // or what is wrong with it
		login   string // what a password becomes
		wrong   string // or what is wrong with it
	}{
		"a byte order mark before it":      {written: "\ufeffabc-123", issued: "abc-123", login: "abc-123"},
		"a byte order mark and line ends":  {written: "\ufeffabc-123\r\n", issued: "abc-123", login: "abc-123"},
		"line ends of Windows":             {written: "abc-123\r\n\r\n", issued: "abc-123", login: "abc-123"},
		"a space that does not break":      {written: "abc-123\u00a0", issued: "abc-123", login: "abc-123\u00a0"},
		"a zero width space after it":      {written: "abc-123\u200b\n", issued: "abc-123", login: "abc-123\u200b"},
		"a byte order mark within":         {written: "abc\ufeff-123", fault: "holds a character that cannot be seen", login: "abc\ufeff-123"},
		"UTF-16 with its mark":             {written: "\xff\xfe" + utf16("abc-123"), fault: "is UTF-16, as PowerShell writes files", wrong: "is UTF-16, as PowerShell writes files"},
		"UTF-16 the other way around":      {written: "\xfe\xff\x00a\x00b", fault: "is UTF-16, as PowerShell writes files", wrong: "is UTF-16, as PowerShell writes files"},
		"UTF-16 without a mark":            {written: utf16("abc-123"), fault: "holds a NUL, as of a file in UTF-16", wrong: "holds a NUL, as of a file in UTF-16"},
		"a NUL after it":                   {written: "abc-123\x00", fault: "holds a NUL, as of a file in UTF-16", wrong: "holds a NUL, as of a file in UTF-16"},
		"Latin-1":                          {written: "abc-\xfc", fault: "is not UTF-8", wrong: "is not UTF-8"},
		"two lines":                        {written: "abc\n123", fault: "has more than one line", wrong: "has more than one line"},
		"two lines of an old Macintosh":    {written: "abc\r123", fault: "has more than one line", wrong: "has more than one line"},
		"quotation marks of a shell":       {written: `"abc-123"`, fault: "is in quotation marks", login: `"abc-123"`},
		"quotation marks and a line end":   {written: "'abc-123'\n", fault: "is in quotation marks", login: "'abc-123'"},
		"one quotation mark":               {written: `"`, issued: `"`, login: `"`},
		"a quotation mark within":          {written: `abc"123`, issued: `abc"123`, login: `abc"123`},
		"quotation marks of a text editor": {written: "“abc-123”", fault: "holds a character outside of ASCII, such as a typographic quotation mark or dash", login: "“abc-123”"},
		"a dash of a text editor":          {written: "abc–123", fault: "holds a character outside of ASCII, such as a typographic quotation mark or dash", login: "abc–123"},
		"an escape of a terminal":          {written: "\x1b[0mabc-123", fault: "holds a control character", wrong: "holds a control character"},
		"a tab within":                     {written: "abc\t123", fault: "holds a control character", login: "abc\t123"},
		"a whole file":                     {written: strings.Repeat("x", 16<<10+1), fault: "is longer than 16 KiB", wrong: "is longer than 16 KiB"},
	}
	complaintOf := func(key, fault string) string {
		if fault == "" {
			return ""
		}
		return `Secret "my-secret" must have plain text in key "` + key + `", which ` + fault + advice
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			with := func(key string) map[string]string {
				data := map[string]string{"client_id": "id", "client_secret": "secret"}
				data[key] = test.written
				return data
			}
			for key, value := range map[string]func(tokensecret.Application) string{
				"client_id":              func(a tokensecret.Application) string { return a.ClientID },
				"client_secret":          func(a tokensecret.Application) string { return a.ClientSecret },
				"client_secret_previous": func(a tokensecret.Application) string { return a.PreviousSecret },
				"redirect_uri":           func(a tokensecret.Application) string { return a.RedirectURI },
				"application_id":         func(a tokensecret.Application) string { return a.ApplicationID },
			} {
				got, err := tokensecret.DecodeApplication(secretWith(with(key)), false, "")
				check(t, nil, test.issued, complaintOf(key, test.fault), value(got), err)
			}
			imported, err := tokensecret.DecodeImport(secretWith(map[string]string{"refresh_token": test.written}))
			check(t, nil, test.issued, complaintOf("refresh_token", test.fault), imported.RefreshToken, err)
			login, err := tokensecret.DecodeLogin(secretWith(map[string]string{"username": "seller", "password": test.written}))
			check(t, nil, test.login, complaintOf("password", test.wrong), login.Password, err)
		})
	}
	t.Run("a user name may hold any letter", func(t *testing.T) {
		login, err := tokensecret.DecodeLogin(secretWith(map[string]string{"username": "\ufeffmüller@example.com\r\n", "password": "pa55"}))
		check(t, nil, "müller@example.com", "", login.Username, err)
	})
	t.Run("a user name with what nobody sees", func(t *testing.T) {
		login, err := tokensecret.DecodeLogin(secretWith(map[string]string{"username": "mul\u200bler@example.com", "password": "pa55"}))
		check(t, nil, "", complaintOf("username", "holds a character that cannot be seen"), login.Username, err)
	})
}

func TestTimesOfUserSecrets(t *testing.T) {
	const complaint = `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "granted_at"`
	never := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	tests := map[string]struct {
		written  string
		want     time.Time
		misdated string
	}{
		"how people write never":                 {written: "9999-12-31T23:59:59Z", want: never},
		"never, west of Greenwich":               {written: "9999-12-31T23:59:59-08:00", want: never},
		"never, east of Greenwich":               {written: "9999-12-31T23:59:59+08:00", want: never.Add(-8 * time.Hour)},
		"how languages write that there is none": {written: "0001-01-01T00:00:00Z"},
		"a byte order mark before it":            {written: "\ufeff2026-03-01T13:00:00Z", want: time.Date(2026, time.March, 1, 13, 0, 0, 0, time.UTC)},
		"the year 0":                             {written: "0000-01-01T00:00:00Z", misdated: complaint},
		"the year 0 east of Greenwich":           {written: "0000-01-01T00:00:00+14:00", misdated: complaint},
		"long before there were platforms":       {written: "1900-01-01T00:00:00Z", misdated: complaint},
		"a year of five digits":                  {written: "12026-01-01T00:00:00Z", misdated: complaint},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeImport(secretWith(map[string]string{"refresh_token": "Atzr|x", "granted_at": test.written}))
			check(t, nil, test.want, "", got.GrantedAt, err)
			if got.Misdated != test.misdated {
				t.Errorf("Misdated = %q, want %q", got.Misdated, test.misdated)
			}
			if _, err := got.GrantedAt.MarshalJSON(); err != nil {
				t.Errorf("it cannot be stored: %v", err)
			}
		})
	}
}

func TestWhatIsUsedOfAUsersSecret(t *testing.T) {
	large := strings.Repeat("x", bounds.Credential)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "app", ResourceVersion: "7", Annotations: map[string]string{"a": large},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kubectl", Time: &metav1.Time{Time: start},
				FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:client_secret":{},"f:` + large + `":{}}}`),
			}},
		},
		Data: map[string][]byte{"client_id": []byte("id"), "client_secret": []byte(large), "another": []byte(large + large)},
	}
	used, err := tokensecret.Used(secret, "client_id", "client_secret", "redirect_uri")
	if err != nil {
		t.Fatal(err)
	}
	if len(used.Data) != 2 || len(used.Annotations)+len(used.ManagedFields) > 0 || used.ResourceVersion != "7" {
		t.Errorf("it keeps %v of %v", used.Data, used.ObjectMeta)
	}
	if application, err := tokensecret.DecodeApplication(used, false, ""); err != nil || !application.SecretSince.Equal(start) {
		t.Errorf("the client secret is of %v, %v", application.SecretSince, err)
	}
	secret.Data["client_secret"] = []byte(large + "x")
	if _, err := tokensecret.Used(secret, "client_id", "client_secret"); err == nil || err.Error() != `Secret "app" must have at most 16 KiB in key "client_secret"` {
		t.Errorf("a larger one is told %v", err)
	}
}

// TestAllThatIsUsedOfAUsersSecretIsBounded since each of ten keys may be large.
func TestAllThatIsUsedOfAUsersSecretIsBounded(t *testing.T) {
	half := []byte(strings.Repeat("x", bounds.UserSecret/2))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Data: map[string][]byte{"client_id": half, "client_secret": half, "password": half[:1]}}
	if used, err := tokensecret.Used(secret, "client_id", "client_secret", "client_id"); err != nil || len(used.Data) != 2 {
		t.Errorf("two keys are told %v", err)
	}
	if _, err := tokensecret.Used(secret, "client_id", "client_secret", "password"); err == nil || err.Error() != `Secret "app" must have at most 32 KiB in all keys that are read` {
		t.Errorf("a byte more is told %v", err)
	}
}

func TestHowOldAClientSecretIs(t *testing.T) {
	made := metav1.NewTime(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	wrote := func(days int, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Time: new(metav1.NewTime(made.AddDate(0, 0, days))), FieldsV1: metav1.NewFieldsV1(fields)}
	}
	for name, test := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		days    int
	}{
		"nobody recorded anything":       {},
		"it came with the Secret":        {entries: []metav1.ManagedFieldsEntry{wrote(0, `{"f:data":{"f:client_id":{},"f:client_secret":{}}}`)}},
		"it was replaced":                {entries: []metav1.ManagedFieldsEntry{wrote(5, `{"f:data":{"f:client_secret":{}}}`)}, days: 5},
		"two have written it":            {entries: []metav1.ManagedFieldsEntry{wrote(7, `{"f:data":{"f:client_secret":{}}}`), wrote(5, `{"f:data":{"f:client_secret":{}}}`)}, days: 7},
		"something else was written":     {entries: []metav1.ManagedFieldsEntry{wrote(5, `{"f:data":{"f:client_secret_previous":{}},"f:metadata":{}}`)}},
		"an entry has no time or fields": {entries: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:client_secret":{}}`)}, {Time: &made}}},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "app", CreationTimestamp: made, ManagedFields: test.entries},
				Data:       map[string][]byte{"client_id": []byte("id"), "client_secret": []byte("secret")},
			}
			application, err := tokensecret.DecodeApplication(secret, false, "")
			if err != nil {
				t.Fatal(err)
			}
			if want := made.AddDate(0, 0, test.days); !application.SecretSince.Equal(want) {
				t.Errorf("the client secret is there since %s, want %s", application.SecretSince, want)
			}
		})
	}
}
