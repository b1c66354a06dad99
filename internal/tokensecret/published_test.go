package tokensecret_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// tokens are what is published.
func tokens() custody.Tokens {
	return custody.Tokens{
		AccessToken: "an-access-token", IDToken: "an-id-token", TokenType: "Bearer", Scope: "openid orders", For: "not published",
		IssuedAt: start, ExpiresAt: start.Add(time.Hour).In(time.FixedZone("CET", 3600)), RenewAt: start,
	}
}

// shaped is an account with a template of its token Secret.
func shaped(template v1alpha1.TokenSecretTemplate) *v1alpha1.MarketplaceAccount {
	account := account()
	account.Spec.TokenSecret.Template = &template
	return account
}

// templated has templates for keys, given as pairs of key and text.
func templated(pairs ...string) *v1alpha1.MarketplaceAccount {
	data := map[string]v1alpha1.DataTemplate{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[pairs[i]] = v1alpha1.DataTemplate(pairs[i+1])
	}
	return shaped(v1alpha1.TokenSecretTemplate{Data: data})
}

func data(secret *corev1.Secret) map[string]string {
	texts := map[string]string{}
	for key, value := range secret.Data {
		texts[key] = string(value)
	}
	return texts
}

func TestRender(t *testing.T) {
	published := map[string]string{
		"access_token": "an-access-token", "id_token": "an-id-token", "token_type": "Bearer", "scope": "openid orders",
		"expires_at": "2026-03-01T13:00:00Z", "account_id": "44130512",
	}
	ours := map[string]string{"app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "main"}
	type rendered struct {
		Name, Namespace     string
		Type                corev1.SecretType
		Labels, Annotations map[string]string
		Owners              []metav1.OwnerReference
		Data                map[string]string
	}
	with := func(change func(*rendered)) rendered {
		want := rendered{
			Name: "main-token", Namespace: "shop", Type: "Opaque", Labels: ours, Owners: []metav1.OwnerReference{owner()}, Data: published,
		}
		change(&want)
		return want
	}
	keeper := owner()
	named := account()
	named.Spec.TokenSecret.Name = "shop-token"
	tests := map[string]struct {
		account *v1alpha1.MarketplaceAccount
		owner   *metav1.OwnerReference
		tokens  custody.Tokens
		id      string
		want    rendered
	}{
		"all that there is": {account(), &keeper, tokens(), "44130512", with(func(*rendered) {})},
		"a Secret that stays behind": {
			account(), nil, tokens(), "44130512", with(func(r *rendered) { r.Owners = nil }),
		},
		"a name of its own": {named, &keeper, tokens(), "44130512", with(func(r *rendered) { r.Name = "shop-token" })},
		"what there is not has no key, but type and scope": {
			account(), &keeper, custody.Tokens{AccessToken: "at", ExpiresAt: start}, "",
			with(func(r *rendered) {
				r.Data = map[string]string{"access_token": "at", "token_type": "", "scope": "", "expires_at": "2026-03-01T12:00:00Z"}
			}),
		},
		"an empty template": {shaped(v1alpha1.TokenSecretTemplate{}), &keeper, tokens(), "44130512", with(func(*rendered) {})},
		"type, labels and annotations": {
			shaped(v1alpha1.TokenSecretTemplate{
				Type: "kubernetes.io/basic-auth", Labels: map[string]v1alpha1.LabelValue{"team": "orders"},
				Annotations: map[string]v1alpha1.AnnotationValue{"example.com/note": "hello"},
			}), &keeper, tokens(), "44130512",
			with(func(r *rendered) {
				r.Type = "kubernetes.io/basic-auth"
				r.Labels = map[string]string{"team": "orders", "app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "main"}
				r.Annotations = map[string]string{"example.com/note": "hello"}
			}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.account.DeepCopy()
			got, err := tokensecret.Render(test.account, test.owner, test.tokens, test.id)
			if err != nil {
				t.Fatal(err)
			}
			diff := cmp.Diff(test.want, rendered{
				got.Name, got.Namespace, got.Type, got.Labels, got.Annotations, got.OwnerReferences, data(got),
			})
			if diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.account); diff != "" {
				t.Errorf("the account, which the cache owns, was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestTemplates(t *testing.T) {
	const keys = "must only use .access_token, .id_token, .token_type, .scope, .expires_at and .account_id, and render to at most 64 KiB"
	const loops = "must not use range, define, block or template"
	tests := map[string]struct {
		text string
		want string
		err  string
	}{
		"a header":                     {text: "Bearer {{ .access_token }}", want: "Bearer an-access-token"},
		"every value":                  {text: "{{.access_token}} {{.id_token}} {{.token_type}} {{.scope}} {{.expires_at}} {{.account_id}}", want: "an-access-token an-id-token Bearer openid orders 2026-03-01T13:00:00Z 44130512"},
		"text alone":                   {text: "plain", want: "plain"},
		"nothing":                      {text: "", want: ""},
		"a comment":                    {text: "{{/* nothing */}}", want: ""},
		"a choice":                     {text: `{{ if eq .token_type "Bearer" }}B{{ else }}?{{ end }}`, want: "B"},
		"with":                         {text: "{{ with .id_token }}ID {{ . }}{{ end }}", want: "ID an-id-token"},
		"a variable":                   {text: `{{ $t := .access_token }}{{ $t }}{{ $t }}`, want: "an-access-tokenan-access-token"},
		"functions":                    {text: `{{ printf "%s:%q" .token_type .scope }} {{ .scope | urlquery }} {{ html "<" }} {{ js "'" }} {{ print 1 "a" }}{{ println }}`, want: "Bearer:\"openid orders\" openid+orders &lt; \\' 1a\n"},
		"a width":                      {text: `{{ printf "%08d|%-9.3s|" 7 .scope }}`, want: "00000007|ope      |"},
		"a number in a format":         {text: `{{ printf "client-12345 %s" .token_type }}`, want: "client-12345 Bearer"},
		"len and slice":                {text: `{{ len .scope }} {{ slice .scope 0 6 }}`, want: "13 openid"},
		"the text is not escaped":      {text: `<{{ .scope }}>&`, want: "<openid orders>&"},
		"a refresh token":              {text: "{{ .refresh_token }}", err: keys},
		"an unknown value":             {text: "{{ .nothing }}", err: keys},
		"an unknown value in a choice": {text: "{{ if .nothing }}{{ end }}", err: keys},
		"a field of a value":           {text: "{{ .access_token.Raw }}", err: keys},
		"no call":                      {text: "{{ call .access_token }}", err: keys},
		"a slice beyond the end":       {text: "{{ slice .access_token 0 99 }}", err: keys},
		"no template":                  {text: "{{ .access_token", err: "must be a Go template: extra:1: unclosed action"},
		"an unknown function":          {text: "{{ env }}", err: `must be a Go template: extra:1: function "env" not defined`},
		"an end too many":              {text: "{{ end }}", err: "must be a Go template: extra:1: unexpected {{end}}"},
		"range":                        {text: "{{ range .scope }}x{{ end }}", err: loops},
		"range over a number":          {text: "{{ range 1000000000 }}x{{ end }}", err: loops},
		"range within if":              {text: "{{ if .scope }}{{ else }}{{ range .scope }}x{{ end }}{{ end }}", err: loops},
		"range within with":            {text: "{{ with .scope }}{{ range . }}x{{ end }}{{ end }}", err: loops},
		"range within else":            {text: "{{ with .x }}{{ else with .scope }}{{ range . }}x{{ end }}{{ end }}", err: loops},
		"define":                       {text: `{{ define "a" }}x{{ end }}`, err: loops},
		"define and template":          {text: `{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, err: loops},
		"a template of its own name":   {text: `x{{ template "extra" }}`, err: loops},
		"block":                        {text: `{{ block "a" . }}x{{ end }}`, err: loops},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret, err := tokensecret.Render(templated("extra", test.text), nil, tokens(), "44130512")
			want := test.err
			if want != "" {
				want = "spec.tokenSecret.template.data[extra]: " + want
			}
			text, got := "", ""
			if err != nil {
				text = err.Error()
			} else {
				got = string(secret.Data["extra"])
			}
			if diff := cmp.Diff(want, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, value := range []string{tokens().AccessToken, tokens().IDToken} {
				if strings.Contains(text, value) {
					t.Errorf("the error holds a token: %s", text)
				}
			}
		})
	}
}

// TestTemplatesThatGrow are what one tenant could write to exhaust the memory of all.
func TestTemplatesThatGrow(t *testing.T) {
	chain := func(step string, times int) string {
		return `{{ $a := "\\\\<<<<''''%%%%" }}` + strings.Repeat(step, times) + `{{ $a }}`
	}
	nest := func(open, inner, shut string, times int) string {
		return "{{ " + strings.Repeat(open, times) + inner + strings.Repeat(shut, times) + " }}"
	}
	const great = `{{ $a := .access_token }}{{ $b := print $a $a $a $a $a $a $a $a }}{{ $a = print $b $b $b $b $b $b $b $b }}` +
		`{{ $b = print $a $a $a $a $a $a $a $a }}{{ $a = print $b $b $b $b $b $b $b $b }}`
	tests := map[string]string{
		"text that is too long":        strings.Repeat("x", 64<<10+1),
		"a token too often":            strings.Repeat("{{ .access_token }}", 5000),
		"print, through a variable":    chain(`{{ $a = print $a $a $a $a $a $a $a $a }}`, 60),
		"println, through a variable":  chain(`{{ $a = println $a $a $a $a }}`, 60),
		"printf, through a variable":   chain(`{{ $a = printf "%[1]s%[1]s%[1]s%[1]s" $a }}`, 60),
		"js, through a variable":       chain(`{{ $a = js $a }}`, 100),
		"html, through a variable":     chain(`{{ $a = html $a }}{{ $a = print $a $a }}`, 60),
		"urlquery, through a variable": chain(`{{ $a = urlquery $a $a $a }}`, 60),
		"%q, through a variable":       chain(`{{ $a = printf "%q" $a }}`, 100),
		"printf, nested":               nest(`(printf "%[1]s%[1]s" `, `"xxxxxxxx"`, `)`, 100),
		"js, in a pipe":                `{{ "\\" ` + strings.Repeat("| js ", 200) + `}}`,
		"a great width":                `{{ printf "%999999s" "" }}`,
		"a great width with zeros":     `{{ printf "%0999999d" 1 }}`,
		"a great precision":            `{{ printf "%.999999f" 1.0 }}`,
		"a width that is an argument":  `{{ printf "%*d" 999999 1 }}`,
		"a width of an indexed one":    `{{ printf "%[1]*[2]d" 999999 1 }}`,
		"many great widths":            `{{ printf "` + strings.Repeat("%9999[1]s", 400) + `" "" }}`,
		"many of a great text":         great + `{{ printf "` + strings.Repeat("%[1]s", 200) + `" $a }}`,
		"all of a great text":          great + `{{ print ` + strings.Repeat("$a ", 1000) + ` }}`,
		"a great format":               great + `{{ printf $a }}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tokensecret.Render(templated("extra", text), nil, tokens(), "")
			if err == nil || !strings.HasSuffix(err.Error(), "and render to at most 64 KiB") && !strings.HasSuffix(err.Error(), "values and arguments of functions") {
				t.Errorf("the error is %v, want one about the size", err)
			}
		})
	}
}

func TestATemplateOf64KiB(t *testing.T) {
	text := strings.Repeat("x", 64<<10-len(tokens().AccessToken)) + "{{ .access_token }}"
	secret, err := tokensecret.Render(templated("extra", text), nil, tokens(), "")
	if err != nil || len(secret.Data["extra"]) != 64<<10 {
		t.Errorf("the error is %v, want 64 KiB and none", err)
	}
}

// TestWhatATemplateTakesOfTheMemory renders what asks for the most with the largest tokens: in one call, through variables that are all
// kept, and as text of the values themselves.
func TestWhatATemplateTakesOfTheMemory(t *testing.T) {
	large := tokens()
	large.AccessToken, large.IDToken = strings.Repeat("<", bounds.Token), strings.Repeat("'", bounds.Token)
	many := func(step string) (text string) {
		for i := 0; len(text) < 4000; i++ {
			text += strings.ReplaceAll(step, "$", fmt.Sprint("$v", i))
		}
		return text
	}
	for name, text := range map[string]string{
		"print of everything":      "{{ print" + strings.Repeat(" .", 200) + " }}",
		"everything, kept":         many("{{$:=print .}}"),
		"a token, kept":            many("{{$:=print .access_token}}"),
		"escapes, kept":            many("{{$:=js .access_token}}"),
		"an unknown verb":          many(`{{$:=printf "%!" .}}`),
		"arguments without a verb": many(`{{$:=printf "" . .}}`),
		"one value by many verbs":  `{{printf "` + strings.Repeat("%[1]q", 200) + `" .}}`,
		"a value as Go":            many(`{{$:=printf "%#v" .}}`),
		"great numbers":            many(`{{$:=printf "%99.99f%99.99f" 1e308 1e308}}`),
		"escapes of escapes":       many(`{{$:=.access_token | js | js | html | urlquery}}`),
		"parentheses":              "{{" + strings.Repeat("(", 1900) + ".scope" + strings.Repeat(")", 1900) + "}}",
		"everything itself":        many("{{.}}"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := tokensecret.Render(templated("extra", text), nil, large, "")
			runtime.ReadMemStats(&after)
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
				t.Errorf("it takes %d KiB, and says %v", taken>>10, err)
			}
		})
	}
}

// TestLargeTokens are as large as tokens get, and are put together without complaint.
func TestLargeTokens(t *testing.T) {
	large := tokens()
	large.AccessToken, large.IDToken = strings.Repeat("a", 20<<10), strings.Repeat("i", 20<<10)
	secret, err := tokensecret.Render(templated("both", `{{ printf "%s.%s" .access_token .id_token }}`), nil, large, "")
	if err != nil || string(secret.Data["both"]) != large.AccessToken+"."+large.IDToken {
		t.Errorf("the error is %v", err)
	}
}

func TestTheFirstOfSeveralBrokenTemplatesIsTold(t *testing.T) {
	account := templated("c", "{{", "a", "{{ .x }}", "b", "{{")
	for range 20 {
		_, err := tokensecret.Render(account, nil, tokens(), "")
		if err == nil || !strings.HasPrefix(err.Error(), "spec.tokenSecret.template.data[a]: ") {
			t.Fatalf("the error is %v, want that of the first key", err)
		}
	}
}

func TestCheckTemplates(t *testing.T) {
	tests := map[string]struct {
		account *v1alpha1.MarketplaceAccount
		ok      bool
	}{
		"no template":         {account(), true},
		"an empty one":        {shaped(v1alpha1.TokenSecretTemplate{}), true},
		"a good one":          {templated("header", "Bearer {{ .access_token }}", "id", "{{ .id_token }}{{ .account_id }}"), true},
		"one that is no":      {templated("header", "Bearer {{ .access_token }"), false},
		"an unknown value":    {templated("header", "Bearer {{ .token }}"), false},
		"one that is endless": {templated("header", "{{ range .scope }}{{ end }}"), false},

		"many arguments in a branch that only a longer token reaches": {templated("x", "{{ if gt (len .access_token) 200 }}{{ print"+strings.Repeat(" .", 1990)+" }}{{ end }}"), false},
		"many arguments in another branch":                            {templated("x", "{{ if .access_token }}{{ else }}{{ print"+strings.Repeat(" .", 300)+" }}{{ end }}"), false},
		"many arguments in parentheses":                               {templated("x", "{{ if false }}{{ len (print"+strings.Repeat(" .scope", 300)+") }}{{ end }}"), false},
		"many arguments of a condition":                               {templated("x", "{{ with print"+strings.Repeat(" .scope", 300)+" }}{{ end }}"), false},
		"many arguments of a variable":                                {templated("x", "{{ if false }}{{ $a := print"+strings.Repeat(" .", 300)+" }}{{ end }}"), false},
		"many actions":                                                {templated("x", strings.Repeat("{{if false}}{{.scope}}{{end}}", 200)), false},
		"as many as there may be":                                     {templated("x", "{{ if false }}{{ print"+strings.Repeat(" .scope", bounds.TemplateArguments-2)+" }}{{ end }}"), true},
		"many keys of a great text":                                   {templated("a", strings.Repeat("x", 60<<10), "b", strings.Repeat("x", 60<<10), "c", strings.Repeat("x", 60<<10)), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tokensecret.CheckTemplates(test.account); (err == nil) != test.ok {
				t.Errorf("the error is %v, want one: %v", err, !test.ok)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	wanted := func() *corev1.Secret {
		keeper := owner()
		secret, err := tokensecret.Render(shaped(v1alpha1.TokenSecretTemplate{
			Annotations: map[string]v1alpha1.AnnotationValue{"example.com/note": "hello"},
		}), &keeper, tokens(), "44130512")
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	tests := map[string]struct {
		change func(held *corev1.Secret)
		want   bool
	}{
		"the same": {func(*corev1.Secret) {}, true},
		"what the API server adds": {func(s *corev1.Secret) {
			s.UID, s.ResourceVersion, s.CreationTimestamp = "x", "1", metav1.NewTime(start)
			s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}}
		}, true},
		"a label of others":          {func(s *corev1.Secret) { s.Labels["theirs"] = "x" }, true},
		"an annotation of others":    {func(s *corev1.Secret) { s.Annotations["theirs"] = "x" }, true},
		"another token":              {func(s *corev1.Secret) { s.Data["access_token"] = []byte("x") }, false},
		"a key too many":             {func(s *corev1.Secret) { s.Data["refresh_token"] = []byte("x") }, false},
		"a key too few":              {func(s *corev1.Secret) { delete(s.Data, "scope") }, false},
		"no data":                    {func(s *corev1.Secret) { s.Data = nil }, false},
		"another type":               {func(s *corev1.Secret) { s.Type = "x" }, false},
		"a label that is gone":       {func(s *corev1.Secret) { delete(s.Labels, "tokenkeeper.dev/account") }, false},
		"another label":              {func(s *corev1.Secret) { s.Labels["tokenkeeper.dev/account"] = "x" }, false},
		"no labels":                  {func(s *corev1.Secret) { s.Labels = nil }, false},
		"another annotation":         {func(s *corev1.Secret) { s.Annotations["example.com/note"] = "x" }, false},
		"an annotation that is gone": {func(s *corev1.Secret) { s.Annotations = nil }, false},
		"no owner":                   {func(s *corev1.Secret) { s.OwnerReferences = nil }, false},
		"another owner":              {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "x" }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			held := wanted()
			test.change(held)
			if got := tokensecret.Matches(held, wanted()); got != test.want {
				t.Errorf("Matches = %v, want %v", got, test.want)
			}
		})
	}
	t.Run("empty maps are no difference", func(t *testing.T) {
		held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}}, Data: map[string][]byte{}}
		if !tokensecret.Matches(held, &corev1.Secret{}) || !tokensecret.Matches(&corev1.Secret{}, held) {
			t.Error("empty and absent do not match")
		}
	})
}

func TestDigest(t *testing.T) {
	secret := func(change func(map[string][]byte)) *corev1.Secret {
		held := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "main-token", Labels: map[string]string{"a": "b"}, ResourceVersion: "7"},
			Type:       corev1.SecretTypeOpaque,
			Data: map[string][]byte{
				"access_token": []byte("eyJhY2Nlc3M"), "id_token": []byte("eyJpZA"), "expires_at": []byte("2026-03-02T21:00:00Z"), "extra": []byte("Bearer eyJhY2Nlc3M"),
			},
		}
		change(held.Data)
		return held
	}
	same := func(map[string][]byte) {}
	digest := tokensecret.Digest(secret(same))
	for key, value := range digest.Data {
		if strings.Contains(string(value), "eyJ") {
			t.Errorf("%s holds a token", key)
		}
	}
	switch again := tokensecret.Digest(digest); {
	case !tokensecret.Matches(digest, tokensecret.Digest(secret(same))), !tokensecret.HoldsIDToken(digest, "eyJpZA"):
		t.Error("two digests of the same differ")
	case !tokensecret.Matches(again, digest) || digest.ResourceVersion != "7" || digest.Labels["a"] != "b":
		t.Errorf("the digest of a digest is %+v", again)
	case !tokensecret.ExpiresAt(digest).Equal(time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC)):
		t.Errorf("the token expires at %v", tokensecret.ExpiresAt(digest))
	}
	for name, change := range map[string]func(map[string][]byte){
		"another token":      func(d map[string][]byte) { d["access_token"] = []byte("eyJvdGhlcg") },
		"another ID token":   func(d map[string][]byte) { d["id_token"] = []byte("eyJvdGhlcg") },
		"another end":        func(d map[string][]byte) { d["expires_at"] = []byte("2026-03-02T22:00:00Z") },
		"another extra key":  func(d map[string][]byte) { d["extra"] = nil },
		"one key more":       func(d map[string][]byte) { d["more"] = nil },
		"one key less":       func(d map[string][]byte) { delete(d, "extra") },
		"values that moved":  func(d map[string][]byte) { d["extra"], d["access_token"] = d["access_token"], d["extra"] },
		"a key that differs": func(d map[string][]byte) { d["extra2"] = d["extra"]; delete(d, "extra") },
	} {
		if tokensecret.Matches(digest, tokensecret.Digest(secret(change))) {
			t.Errorf("%s: the digests are the same", name)
		}
	}
}

func TestHoldsIDToken(t *testing.T) {
	with := func(data map[string][]byte) *corev1.Secret { return tokensecret.Digest(&corev1.Secret{Data: data}) }
	tests := map[string]struct {
		held       *corev1.Secret
		holds, has bool
	}{
		"the same":  {with(map[string][]byte{"id_token": []byte("1")}), true, true},
		"another":   {with(map[string][]byte{"id_token": []byte("2")}), false, true},
		"an empty":  {with(map[string][]byte{"id_token": nil}), false, false},
		"none":      {with(nil), false, false},
		"no Secret": {nil, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tokensecret.HoldsIDToken(test.held, "1"); got != test.holds {
				t.Errorf("HoldsIDToken = %v, want %v", got, test.holds)
			}
			if got := tokensecret.HasIDToken(test.held); got != test.has {
				t.Errorf("HasIDToken = %v, want %v", got, test.has)
			}
		})
	}
}

func TestUsesIDToken(t *testing.T) {
	account := &v1alpha1.MarketplaceAccount{}
	if tokensecret.UsesIDToken(account) {
		t.Error("an account without a template uses the ID token")
	}
	for text, want := range map[string]bool{
		"Bearer {{ .access_token }}": false, "{{ .id_token }}": true, "{{.id_token}}": true, `{{ index . "id_token" }}`: true,
	} {
		account.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{"key": v1alpha1.DataTemplate(text)}}
		if got := tokensecret.UsesIDToken(account); got != want {
			t.Errorf("UsesIDToken of %s = %v, want %v", text, got, want)
		}
	}
}

func TestExpiresAt(t *testing.T) {
	rendered, err := tokensecret.Render(account(), nil, tokens(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tokensecret.ExpiresAt(rendered), tokens().ExpiresAt.UTC(); got != want {
		t.Errorf("what was rendered expires at %v, want %v in UTC", got, want)
	}
	for _, text := range []string{"", "soon", "1772373600", "2026-03-01"} {
		if got := tokensecret.ExpiresAt(&corev1.Secret{Data: map[string][]byte{"expires_at": []byte(text)}}); !got.IsZero() {
			t.Errorf("%q is %v, want no time", text, got)
		}
	}
	if got := tokensecret.ExpiresAt(&corev1.Secret{}); !got.IsZero() {
		t.Errorf("a Secret without the key expires at %v, want no time", got)
	}
}

func TestMerge(t *testing.T) {
	held := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: "42", Labels: map[string]string{"theirs": "1", "both": "old"}, Annotations: map[string]string{"theirs": "2"},
		},
		Data: map[string][]byte{"stale": []byte("x")},
	}
	before := held.DeepCopy()
	tests := map[string]struct{ labels, annotations, wantLabels, wantAnnotations map[string]string }{
		"what others added is kept": {
			labels: map[string]string{"both": "new", "ours": "3"}, annotations: map[string]string{"ours": "4"},
			wantLabels: map[string]string{"theirs": "1", "both": "new", "ours": "3"}, wantAnnotations: map[string]string{"theirs": "2", "ours": "4"},
		},
		"also where we want nothing": {
			wantLabels: map[string]string{"theirs": "1", "both": "old"}, wantAnnotations: map[string]string{"theirs": "2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wanted := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Labels: test.labels, Annotations: test.annotations}, Data: map[string][]byte{"fresh": []byte("y")},
			}
			tokensecret.Merge(wanted, held)
			want := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{ResourceVersion: "42", Labels: test.wantLabels, Annotations: test.wantAnnotations},
				Data:       map[string][]byte{"fresh": []byte("y")},
			}
			if diff := cmp.Diff(want, wanted); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !tokensecret.Matches(wanted, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: test.labels}, Data: wanted.Data}) {
				t.Error("what was merged does not match what was wanted")
			}
		})
	}
	if diff := cmp.Diff(before, held); diff != "" {
		t.Errorf("the Secret held, which the cache owns, was changed (-before +after):\n%s", diff)
	}
	t.Run("into a Secret that has none", func(t *testing.T) {
		wanted := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"ours": "1"}}}
		tokensecret.Merge(wanted, &corev1.Secret{})
		if diff := cmp.Diff(map[string]string{"ours": "1"}, wanted.Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	})
}

func TestOwned(t *testing.T) {
	ours := map[string]string{"app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "main"}
	foreign := map[string]string{"app.kubernetes.io/managed-by": "helm", "tokenkeeper.dev/account": "main"}
	another := owner()
	another.UID = "uid-2"
	plain := owner()
	plain.Controller = nil
	plain.UID = "uid-2"
	forged := owner()
	forged.APIVersion, forged.Kind = "cert-manager.io/v1", "Certificate"
	tests := map[string]struct {
		labels map[string]string
		owners []metav1.OwnerReference
		want   bool
	}{
		"labelled and owned":                              {ours, []metav1.OwnerReference{owner()}, true},
		"left behind by an account of the name":           {ours, nil, true},
		"owned by an account of the name that is another": {ours, []metav1.OwnerReference{another}, false},
		"owned by another, who does not control it":       {ours, []metav1.OwnerReference{plain}, true},
		"with the account's UID under another kind":       {ours, []metav1.OwnerReference{forged}, false},
		"owned, and its labels gone":                      {nil, []metav1.OwnerReference{owner()}, true},
		"owned, with the labels of another tool":          {foreign, []metav1.OwnerReference{owner()}, true},
		"left behind with the labels of another tool":     {foreign, nil, false},
		"without labels and owner":                        {nil, nil, false},
		"labelled for another account": {
			map[string]string{"app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "another"}, nil, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			meta := metav1.ObjectMeta{Name: "main-token", Labels: test.labels, OwnerReferences: test.owners}
			for kind, object := range map[string]metav1.Object{
				"whole": &corev1.Secret{ObjectMeta: meta}, "its metadata": &metav1.PartialObjectMetadata{ObjectMeta: meta},
			} {
				if got := tokensecret.Owned(object, account()); got != test.want {
					t.Errorf("Owned(%s) = %v, want %v", kind, got, test.want)
				}
			}
		})
	}
}

func TestServes(t *testing.T) {
	another := owner()
	another.UID = "uid-2"
	tests := map[string]struct {
		owners []metav1.OwnerReference
		told   string // by the status of the account
		want   bool
	}{
		"controlled by the account":                       {[]metav1.OwnerReference{owner()}, "", true},
		"controlled by another":                           {[]metav1.OwnerReference{another}, "main-token", false},
		"without a controller, as the account has told":   {nil, "main-token", true},
		"left behind by a former account of the name":     {nil, "", false},
		"without a controller, and the account's another": {nil, "another-token", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "main-token", OwnerReferences: test.owners, Labels: map[string]string{
				"app.kubernetes.io/managed-by": "tokenkeeper", "tokenkeeper.dev/account": "main",
			}}}
			account := account()
			account.Status.TokenSecretName = test.told
			if got := tokensecret.Serves(secret, account); got != test.want {
				t.Errorf("Serves = %v, want %v", got, test.want)
			}
			secret.Labels = nil
			if got := tokensecret.Serves(secret, account); got != (test.want && test.owners != nil) {
				t.Errorf("Serves without labels = %v", got)
			}
		})
	}
}

func ExampleRender() {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop"}}
	account.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{
		Data: map[string]v1alpha1.DataTemplate{"authorization": "{{ .token_type }} {{ .access_token }}"},
	}
	secret, err := tokensecret.Render(account, nil, custody.Tokens{AccessToken: "an-access-token", TokenType: "Bearer"}, "")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %s\n", secret.Name, secret.Data["authorization"])
	// Output: main-token: Bearer an-access-token
}
