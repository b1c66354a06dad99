package tokensecret_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		"a day is no time": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "2026-12-31"},
			err:  `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "client_secret_expires_at"`,
		},
		"a number is no time": {
			data: map[string]string{"client_id": "my-client", "client_secret": "s3cr3t", "client_secret_expires_at": "1798758000"},
			err:  `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "client_secret_expires_at"`,
		},
		"of several mistakes the first is told": {
			data: map[string]string{"client_secret_expires_at": "soon"}, err: `Secret "my-secret" must have a non-empty key "client_id"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeApplication(secretWith(test.data), test.public)
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
			err:  `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "granted_at"`,
		},
		"a time without a zone": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": "2026-03-01T13:00:00"},
			err:  `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "granted_at"`,
		},
		"the token in the place of the time": {
			data: map[string]string{"refresh_token": "Atzr|x", "granted_at": "Atzr|x"},
			err:  `Secret "my-secret" must have a time such as 2026-01-31T12:00:00Z in key "granted_at"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tokensecret.DecodeImport(secretWith(test.data))
			check(t, test.data, test.want, test.err, got, err)
		})
	}
}
