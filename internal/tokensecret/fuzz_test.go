package tokensecret_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// FuzzDecodeUserSecrets reads what users write, whatever it is: a complaint names the Secret and no value of it.
func FuzzDecodeUserSecrets(f *testing.F) {
	f.Add([]byte("my-client"), []byte("s3cr3t"), []byte("2026-12-31T23:00:00Z"))
	f.Add([]byte(" \n"), []byte("\r\n"), []byte("0"))
	f.Add([]byte("\xff\xfe"), []byte(strings.Repeat("x", 5000)), []byte("9999-99-99T99:99:99Z"))
	f.Add([]byte("a\x00b"), []byte("pass word "), []byte("2026-12-31T23:59:60+23:59"))
	f.Fuzz(func(t *testing.T, name, credential, at []byte) {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "my-secret"}, Data: map[string][]byte{
			"client_id": name, "client_secret": credential, "client_secret_previous": credential, "client_secret_expires_at": at,
			"username": name, "password": credential, "refresh_token": credential, "granted_at": at,
		}}
		for _, public := range []bool{true, false} {
			application, err := tokensecret.DecodeApplication(secret, public, "")
			complaint(t, err, credential)
			if err == nil && (application.ClientID == "" || !public && application.ClientSecret == "") {
				t.Errorf("an application without a name or a secret is accepted: %+v", application)
			}
		}
		login, err := tokensecret.DecodeLogin(secret)
		complaint(t, err, credential)
		if err == nil && (login.Username == "" || login.Password == "") {
			t.Error("a login without a name or a password is accepted")
		}
		imported, err := tokensecret.DecodeImport(secret)
		complaint(t, err, credential)
		if err == nil && imported.RefreshToken == "" {
			t.Error("an import without a refresh token is accepted")
		}
	})
}

func complaint(t *testing.T, err error, credential []byte) {
	t.Helper()
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), `Secret "my-secret"`) {
		t.Errorf("the error does not name the Secret: %v", err)
	}
	if secret := strings.TrimSpace(string(credential)); len(secret) > 20 && strings.Contains(err.Error(), secret) {
		t.Errorf("the error says a credential: %v", err)
	}
}

// FuzzTemplate renders whatever template somebody writes: in bounds of size and time, and without the token in an error.
func FuzzTemplate(f *testing.F) {
	for _, template := range []string{
		"Bearer {{ .access_token }}", `{{ printf "%s:%s" .account_id .access_token | urlquery }}`, "{{ range 1000000 }}x{{ end }}",
		`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "{{ .refresh_token }}", "{{ .access_token.x }}", "{{ slice .access_token 0 99999 }}",
		`{{ printf "%999999999d" 1 }}`, "{{ len .access_token }}", "{{ call .access_token }}", "{{", "{{ js .scope }}{{ html .scope }}", "{{ index .access_token 3 }}",
		`{{ $x := .access_token }}{{ range $i := 30 }}{{ $x = print $x $x }}{{ end }}{{ $x }}`,
	} {
		f.Add(template)
	}
	const token = "tok.VGhpcyBpcyBhIHRva2Vu.aXQgaXMgbG9uZw"
	f.Fuzz(func(t *testing.T, template string) {
		account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop"}}
		account.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{"key": v1alpha1.DataTemplate(template)}}
		_ = tokensecret.CheckTemplates(account) // must end
		secret, err := tokensecret.Render(account, nil, custody.Tokens{AccessToken: token, ExpiresAt: time.Unix(0, 0)}, "44130512")
		switch {
		case err != nil && strings.Contains(err.Error(), token) && !strings.Contains(template, token):
			t.Errorf("the error says the token: %v", err)
		case err == nil && len(secret.Data["key"]) > 64<<10:
			t.Errorf("%d bytes were rendered", len(secret.Data["key"]))
		case err == nil && string(secret.Data["access_token"]) != token:
			t.Error("the template has changed another key")
		}
	})
}
