package api_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// account is a valid MarketplaceAccount that says no more than it must.
func account(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	return object(t, `
apiVersion: tokenkeeper.dev/v1alpha1
kind: MarketplaceAccount
metadata: {name: allegro-main, namespace: shop}
spec:
  marketplaceRef: {name: allegro}
  grant: {type: DeviceCode}
`)
}

func TestAccountGrant(t *testing.T) {
	secret := map[string]any{"secretRef": map[string]any{"name": "login"}}
	checkRules(t, account(t), map[string]rule{
		"AuthorizationCode needs no more":                   {set: fields{"spec.grant.type": "AuthorizationCode"}},
		"DeviceCode needs no more":                          {set: fields{"spec.grant.type": "DeviceCode"}},
		"ClientCredentials needs no more":                   {set: fields{"spec.grant.type": "ClientCredentials"}},
		"Password takes a login":                            {set: fields{"spec.grant.type": "Password", "spec.grant.password": secret}},
		"RefreshToken takes a refresh token":                {set: fields{"spec.grant.type": "RefreshToken", "spec.grant.refreshToken": secret}},
		"a grant must be named":                             {set: fields{"spec.grant": nil}, wants: "spec.grant: Required value"},
		"a grant must have a type":                          {set: fields{"spec.grant.type": nil}, wants: "spec.grant.type: Required value"},
		"the type must be one that exists":                  {set: fields{"spec.grant.type": "Implicit"}, wants: `supported values: "AuthorizationCode", "DeviceCode", "RefreshToken", "Password", "ClientCredentials"`},
		"a grant must not have an empty type":               {set: fields{"spec.grant.type": ""}, wants: "Unsupported value"},
		"Password without a login is refused":               {set: fields{"spec.grant.type": "Password"}, wants: "password must be set with type Password"},
		"a login with another type is refused":              {set: fields{"spec.grant.password": secret}, wants: "password must only be set with type Password"},
		"RefreshToken without a refresh token is refused":   {set: fields{"spec.grant.type": "RefreshToken"}, wants: "refreshToken must be set with type RefreshToken"},
		"a refresh token with another type is refused":      {set: fields{"spec.grant.refreshToken": secret}, wants: "refreshToken must only be set with type RefreshToken"},
		"Password with a refresh token is refused":          {set: fields{"spec.grant.type": "Password", "spec.grant.password": secret, "spec.grant.refreshToken": secret}, wants: "refreshToken must only be set with type RefreshToken"},
		"a login must name a Secret":                        {set: fields{"spec.grant.type": "Password", "spec.grant.password": map[string]any{}}, wants: "spec.grant.password.secretRef: Required value"},
		"a refresh token must name a Secret":                {set: fields{"spec.grant.type": "RefreshToken", "spec.grant.refreshToken": map[string]any{}}, wants: "spec.grant.refreshToken.secretRef: Required value"},
		"the Secret of a login must have a possible name":   {set: fields{"spec.grant.type": "Password", "spec.grant.password.secretRef.name": "Not_A_Name"}, wants: "spec.grant.password.secretRef.name in body should match"},
		"the Secret of a refresh token must not be nothing": {set: fields{"spec.grant.type": "RefreshToken", "spec.grant.refreshToken.secretRef.name": ""}, wants: "spec.grant.refreshToken.secretRef.name in body should be at least 1 chars long"},
	})
}

func TestAccountReferences(t *testing.T) {
	checkRules(t, account(t), map[string]rule{
		"a marketplace must be named":                  {set: fields{"spec.marketplaceRef": nil}, wants: "spec.marketplaceRef: Required value"},
		"a marketplace must have a name":               {set: fields{"spec.marketplaceRef.name": nil}, wants: "spec.marketplaceRef.name: Required value"},
		"a marketplace's name must not be empty":       {set: fields{"spec.marketplaceRef.name": ""}, wants: "should be at least 1 chars long"},
		"a marketplace's name must be possible":        {set: fields{"spec.marketplaceRef.name": "../allegro"}, wants: "spec.marketplaceRef.name in body should match"},
		"a marketplace's name may have dots":           {set: fields{"spec.marketplaceRef.name": "allegro.pl"}},
		"a marketplace's name must not be too long":    {set: fields{"spec.marketplaceRef.name": strings.Repeat("a", 254)}, wants: "may not be more than 253"},
		"an application Secret may be named":           {set: fields{"spec.applicationSecretRef.name": "allegro-app"}},
		"an application Secret must have a name":       {set: fields{"spec.applicationSecretRef": map[string]any{}}, wants: "spec.applicationSecretRef.name: Required value"},
		"an application Secret's name must be bounded": {set: fields{"spec.applicationSecretRef.name": strings.Repeat("a", 254)}, wants: "may not be more than 253"},
		"an application Secret's name must be possible": {
			set: fields{"spec.applicationSecretRef.name": "other-namespace/secret"}, wants: "spec.applicationSecretRef.name in body should match",
		},
	})
}

func TestAccountTexts(t *testing.T) {
	checkRules(t, account(t), map[string]rule{
		"the environment may be another than Production":  {set: fields{"spec.environment": "Sandbox"}},
		"the environment must not be empty":               {set: fields{"spec.environment": ""}, wants: "spec.environment in body should be at least 1 chars long"},
		"the environment must be a name":                  {set: fields{"spec.environment": "not a name"}, wants: "spec.environment in body should match"},
		"the environment must be bounded":                 {set: fields{"spec.environment": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"the login may be what people write":              {set: fields{"spec.login": "Müller & Söhne <shop@example.com>"}},
		"the login must not be empty":                     {set: fields{"spec.login": ""}, wants: "spec.login in body should be at least 1 chars long"},
		"the login must be bounded":                       {set: fields{"spec.login": strings.Repeat("a", 257)}, wants: "may not be more than 256"},
		"the login must not have control characters":      {set: fields{"spec.login": "my\nshop"}, wants: "spec.login in body should match"},
		"the account's ID may be what platforms use":      {set: fields{"spec.accountID": "auth0|64f0c1"}},
		"the account's ID must be text":                   {set: fields{"spec.accountID": int64(44130512)}, wants: "must be of type string"},
		"the account's ID must not be empty":              {set: fields{"spec.accountID": ""}, wants: "spec.accountID in body should be at least 1 chars long"},
		"the account's ID must be bounded":                {set: fields{"spec.accountID": strings.Repeat("4", 257)}, wants: "may not be more than 256"},
		"the account's ID must have no control character": {set: fields{"spec.accountID": "44\x00"}, wants: "spec.accountID in body should match"},
	})
}

func TestAccountScopesAndParameters(t *testing.T) {
	parameter := func(name, value string) []any {
		return []any{map[string]any{"name": name, "value": value}}
	}
	checkRules(t, account(t), map[string]rule{
		"scopes may be empty":              {set: fields{"spec.scopes": []any{}}},
		"scopes may have colons and URLs":  {set: fields{"spec.scopes": []any{"allegro:api:orders:read", "https://api.ebay.com/oauth/api_scope"}}},
		"a scope must not have a space":    {set: fields{"spec.scopes": []any{"orders offers"}}, wants: "spec.scopes[0] in body should match"},
		"a scope must not be empty":        {set: fields{"spec.scopes": []any{""}}, wants: "should be at least 1 chars long"},
		"a scope must be bounded":          {set: fields{"spec.scopes": []any{strings.Repeat("a", 257)}}, wants: "may not be more than 256"},
		"a scope must not come twice":      {set: fields{"spec.scopes": []any{"orders", "orders"}}, wants: "Duplicate value"},
		"scopes must be bounded in number": {set: fields{"spec.scopes": list(65, func(i int) any { return strings.Repeat("a", i+1) })}, wants: "must have at most 64 items"},

		"parameters may be empty":               {set: fields{"spec.parameters": []any{}}},
		"a parameter has a name and a value":    {set: fields{"spec.parameters": parameter("region", "eu")}},
		"a parameter must have a name":          {set: fields{"spec.parameters": []any{map[string]any{"value": "eu"}}}, wants: "spec.parameters[0].name: Required value"},
		"a parameter must have a value":         {set: fields{"spec.parameters": []any{map[string]any{"name": "region"}}}, wants: "spec.parameters[0].value: Required value"},
		"a parameter's name must be possible":   {set: fields{"spec.parameters": parameter("a region", "eu")}, wants: "spec.parameters[0].name in body should match"},
		"a parameter's name must be bounded":    {set: fields{"spec.parameters": parameter(strings.Repeat("a", 64), "eu")}, wants: "may not be more than 63"},
		"a parameter's value must not be empty": {set: fields{"spec.parameters": parameter("region", "")}, wants: "should be at least 1 chars long"},
		"a parameter's value must be bounded":   {set: fields{"spec.parameters": parameter("region", strings.Repeat("a", 513))}, wants: "may not be more than 512"},
		"a parameter may be a sentence":         {set: fields{"spec.parameters": parameter("agent", "my-app/1.0 (+https://shop.example.com)")}},
		"a parameter must be one line":          {set: fields{"spec.parameters": parameter("agent", "a\r\nb")}, wants: "spec.parameters[0].value in body should match"},
		"a parameter must not come twice":       {set: fields{"spec.parameters": append(parameter("region", "eu"), parameter("region", "na")...)}, wants: "Duplicate value"},
		"parameters must be bounded in number": {
			set: fields{"spec.parameters": list(33, func(i int) any {
				return map[string]any{"name": strings.Repeat("a", i+1), "value": "b"}
			})},
			wants: "must have at most 32 items",
		},
	})
}

func TestAccountRenewal(t *testing.T) {
	const malformed = "must be a duration from 1s to 87600h, such as 90s, 12h or 1h30m"
	checkRules(t, account(t), map[string]rule{
		"renewal may be suspended":                  {set: fields{"spec.renewal.policy": "Suspended"}},
		"renewal must not be an empty policy":       {set: fields{"spec.renewal.policy": ""}, wants: "Unsupported value"},
		"renewal must be a policy that exists":      {set: fields{"spec.renewal.policy": "Paused"}, wants: `supported values: "Automatic", "Suspended"`},
		"renewal may be a second before":            {set: fields{"spec.renewal.before": "1s"}},
		"renewal may be a year before":              {set: fields{"spec.renewal.before": "8760h"}},
		"renewal may be written in mixed units":     {set: fields{"spec.renewal.before": "1h30m15.5s"}},
		"renewal may be spelt out as not set":       {set: fields{"spec.renewal.before": ""}},
		"renewal must not be after expiry":          {set: fields{"spec.renewal.before": "-1h"}, wants: malformed},
		"renewal must not be at expiry":             {set: fields{"spec.renewal.before": "0s"}, wants: malformed},
		"renewal must not be less than a second":    {set: fields{"spec.renewal.before": "999ms"}, wants: malformed},
		"renewal must not be more than a year":      {set: fields{"spec.renewal.before": "8761h"}, wants: `spec.renewal.before: Invalid value: "8761h": must be at most 8760h`},
		"a duration must have a unit":               {set: fields{"spec.renewal.before": "60"}, wants: malformed},
		"a duration must be text":                   {set: fields{"spec.renewal.before": int64(60)}, wants: "must be of type string"},
		"a duration must not be in days":            {set: fields{"spec.renewal.before": "1d"}, wants: malformed},
		"a duration must not be prose":              {set: fields{"spec.renewal.before": "soon"}, wants: malformed},
		"a duration must have its units in order":   {set: fields{"spec.renewal.before": "5m1h"}, wants: malformed},
		"a duration must not have a unit twice":     {set: fields{"spec.renewal.before": "1h1h"}, wants: malformed},
		"a duration must not outlive computers":     {set: fields{"spec.renewal.before": "99999999h"}, wants: malformed},
		"a duration must not be longer than a line": {set: fields{"spec.renewal.before": strings.Repeat("1", 32) + "s"}, wants: "may not be more than 32"},

		"a warning may come a year before":           {set: fields{"spec.authorization.warnBefore": "8760h"}},
		"a warning may come an hour before":          {set: fields{"spec.authorization.warnBefore": "1h"}},
		"a warning may be spelt out as not set":      {set: fields{"spec.authorization.warnBefore": ""}},
		"a warning must not come at the last moment": {set: fields{"spec.authorization.warnBefore": "59m"}, wants: `spec.authorization.warnBefore: Invalid value: "59m": must be at least 1h and at most 8760h`},
		"a warning must not come years before":       {set: fields{"spec.authorization.warnBefore": "8761h"}, wants: "must be at least 1h and at most 8760h"},
		"a warning must not come after the end":      {set: fields{"spec.authorization.warnBefore": "-336h"}, wants: malformed},
		"a warning must not be written in days":      {set: fields{"spec.authorization.warnBefore": "14d"}, wants: malformed},
	})
}

func TestAccountNameAndDeletion(t *testing.T) {
	checkRules(t, account(t), map[string]rule{
		"deletion may keep the token Secret":           {set: fields{"spec.deletionPolicy": "Keep"}},
		"deletion may revoke the grant":                {set: fields{"spec.deletionPolicy": "Revoke"}},
		"deletion must be a policy that exists":        {set: fields{"spec.deletionPolicy": "Retain"}, wants: `supported values: "Delete", "Revoke", "Keep"`},
		"deletion must not be an empty policy":         {set: fields{"spec.deletionPolicy": ""}, wants: "Unsupported value"},
		"an account must have a spec":                  {set: fields{"spec": nil}, wants: "spec: Required value"},
		"an account must have a name that labels take": {set: fields{"metadata.name": strings.Repeat("a", 64)}, wants: "metadata.name must be no more than 63 characters"},
		"an account may have a name of 63 characters":  {set: fields{"metadata.name": strings.Repeat("a", 63)}},
	})
}

func TestAccountTokenSecret(t *testing.T) {
	const (
		read     = "spec.tokenSecret.name (default <account>-token) must not be the name of a Secret that this account reads"
		reserved = "spec.tokenSecret.name must not be <account>-grant or <account>-sign-in"
		ours     = "spec must not refer to the Secrets <account>-grant and <account>-sign-in"
	)
	checkRules(t, account(t), map[string]rule{
		"the token Secret may have a name":              {set: fields{"spec.tokenSecret.name": "allegro-token"}},
		"the token Secret's name must be possible":      {set: fields{"spec.tokenSecret.name": "Allegro_Token"}, wants: "spec.tokenSecret.name in body should match"},
		"the token Secret's name must not be empty":     {set: fields{"spec.tokenSecret.name": ""}, wants: "should be at least 1 chars long"},
		"the token Secret's name must be bounded":       {set: fields{"spec.tokenSecret.name": strings.Repeat("a", 254)}, wants: "may not be more than 253"},
		"the token Secret must not be the grant Secret": {set: fields{"spec.tokenSecret.name": "allegro-main-grant"}, wants: reserved},
		"nor the one of the sign-in's link":             {set: fields{"spec.tokenSecret.name": "allegro-main-sign-in"}, wants: reserved},
		"another account's place is its own matter":     {set: fields{"spec.tokenSecret.name": "another-sign-in"}},
		"the application must not be the grant Secret":  {set: fields{"spec.applicationSecretRef.name": "allegro-main-grant"}, wants: ours},
		"nor the one of the sign-in's link, either":     {set: fields{"spec.applicationSecretRef.name": "allegro-main-sign-in"}, wants: ours},
		"nor must the login be": {
			set: fields{"spec.grant.type": "Password", "spec.grant.password.secretRef.name": "allegro-main-sign-in"}, wants: ours,
		},
		"nor must the import be": {
			set: fields{"spec.grant.type": "RefreshToken", "spec.grant.refreshToken.secretRef.name": "allegro-main-sign-in"}, wants: ours,
		},
		"the token Secret must not be the application's": {
			set: fields{"spec.tokenSecret.name": "shared", "spec.applicationSecretRef.name": "shared"}, wants: read,
		},
		"the token Secret must not be the login's": {
			set:   fields{"spec.tokenSecret.name": "shared", "spec.grant.type": "Password", "spec.grant.password.secretRef.name": "shared"},
			wants: read,
		},
		"the token Secret must not be the refresh token's": {
			set:   fields{"spec.tokenSecret.name": "shared", "spec.grant.type": "RefreshToken", "spec.grant.refreshToken.secretRef.name": "shared"},
			wants: read,
		},
		"the token Secret must not be read under its default name": {
			set: fields{"spec.applicationSecretRef.name": "allegro-main-token"}, wants: read,
		},
		"another Secret may be read": {
			set: fields{"spec.tokenSecret.name": "mine", "spec.applicationSecretRef.name": "app", "spec.grant.type": "Password", "spec.grant.password.secretRef.name": "login"},
		},
	})
}

func TestAccountTokenSecretTemplate(t *testing.T) {
	key := func(prefix, name int) map[string]any {
		return map[string]any{strings.Repeat("a", prefix) + "/" + strings.Repeat("b", name): "c"}
	}
	many := func(n int) map[string]any {
		keys := map[string]any{}
		for i := range n {
			keys[strings.Repeat("a", i+1)] = "b"
		}
		return keys
	}
	const (
		labels      = "must be valid label keys and values"
		annotations = "must have valid annotation keys"
		keys        = "must have keys of letters, digits, '-', '_' and '.' only"
	)
	checkRules(t, with(t, account(t), fields{"spec.tokenSecret.template": map[string]any{}}), map[string]rule{
		"a template may be empty":    {},
		"the type must not be empty": {set: fields{"spec.tokenSecret.template.type": ""}, wants: "should be at least 1 chars long"},
		"the type must be bounded":   {set: fields{"spec.tokenSecret.template.type": strings.Repeat("a", 254)}, wants: "may not be more than 253"},

		"labels may be empty":                         {set: fields{"spec.tokenSecret.template.labels": map[string]any{}}},
		"labels may have prefixes":                    {set: fields{"spec.tokenSecret.template.labels": map[string]any{"example.com/team": "Shop_1", "tier": ""}}},
		"a label's prefix may be long":                {set: fields{"spec.tokenSecret.template.labels": key(253, 63)}},
		"a label's prefix must be bounded":            {set: fields{"spec.tokenSecret.template.labels": key(254, 1)}, wants: labels},
		"a label's name must be bounded":              {set: fields{"spec.tokenSecret.template.labels": key(1, 64)}, wants: labels},
		"a label's prefix must be a domain":           {set: fields{"spec.tokenSecret.template.labels": map[string]any{"example..com/team": "shop"}}, wants: labels},
		"a label's key must not be empty":             {set: fields{"spec.tokenSecret.template.labels": map[string]any{"": "shop"}}, wants: labels},
		"a label's key must not have spaces":          {set: fields{"spec.tokenSecret.template.labels": map[string]any{"the team": "shop"}}, wants: labels},
		"a label's value must not have spaces":        {set: fields{"spec.tokenSecret.template.labels": map[string]any{"team": "the shop"}}, wants: labels},
		"a label's value must be bounded":             {set: fields{"spec.tokenSecret.template.labels": map[string]any{"team": strings.Repeat("a", 64)}}, wants: "may not be more than 63"},
		"labels must be bounded in number":            {set: fields{"spec.tokenSecret.template.labels": many(33)}, wants: "must have at most 32 items"},
		"annotations may be empty":                    {set: fields{"spec.tokenSecret.template.annotations": map[string]any{}}},
		"annotations may say anything":                {set: fields{"spec.tokenSecret.template.annotations": map[string]any{"example.com/note": "of the shop,\nnot of the operator"}}},
		"an annotation's prefix must be bounded":      {set: fields{"spec.tokenSecret.template.annotations": key(254, 1)}, wants: annotations},
		"an annotation's key must not have spaces":    {set: fields{"spec.tokenSecret.template.annotations": map[string]any{"the note": "a"}}, wants: annotations},
		"an annotation must be bounded":               {set: fields{"spec.tokenSecret.template.annotations": map[string]any{"note": strings.Repeat("a", 4097)}}, wants: "may not be more than 4096"},
		"annotations must be bounded in number":       {set: fields{"spec.tokenSecret.template.annotations": many(33)}, wants: "must have at most 32 items"},
		"data may be empty":                           {set: fields{"spec.tokenSecret.template.data": map[string]any{}}},
		"data may be templates":                       {set: fields{"spec.tokenSecret.template.data": map[string]any{"authorization": "Bearer {{ .access_token }}", ".netrc": "a"}}},
		"a key must be one that a Secret can have":    {set: fields{"spec.tokenSecret.template.data": map[string]any{"the key": "a"}}, wants: keys},
		"a key must not be a directory":               {set: fields{"spec.tokenSecret.template.data": map[string]any{"..": "a"}}, wants: keys},
		"a key must not be this directory":            {set: fields{"spec.tokenSecret.template.data": map[string]any{".": "a"}}, wants: keys},
		"a key must not hide":                         {set: fields{"spec.tokenSecret.template.data": map[string]any{"..data": "a"}}, wants: keys},
		"a key must be bounded":                       {set: fields{"spec.tokenSecret.template.data": map[string]any{strings.Repeat("a", 254): "a"}}, wants: keys},
		"a template must be bounded":                  {set: fields{"spec.tokenSecret.template.data": map[string]any{"a": strings.Repeat("a", 4097)}}, wants: "may not be more than 4096"},
		"templates must be bounded together":          {set: fields{"spec.tokenSecret.template.data": eachOf(9, 4000)}, wants: "must be at most 32 KiB together"},
		"annotations must be bounded together":        {set: fields{"spec.tokenSecret.template.annotations": eachOf(5, 4000)}, wants: "must be at most 16 KiB together"},
		"templates may be large":                      {set: fields{"spec.tokenSecret.template.data": eachOf(8, 4096)}},
		"keys must be bounded in number":              {set: fields{"spec.tokenSecret.template.data": many(33)}, wants: "must have at most 32 items"},
		"data must not replace the access token":      {set: fields{"spec.tokenSecret.template.data": map[string]any{"access_token": "a"}}, wants: "must not replace access_token"},
		"data must not replace the ID token":          {set: fields{"spec.tokenSecret.template.data": map[string]any{"id_token": "a"}}, wants: "must not replace access_token"},
		"data must not replace the token's type":      {set: fields{"spec.tokenSecret.template.data": map[string]any{"token_type": "a"}}, wants: "must not replace access_token"},
		"data must not replace the scope":             {set: fields{"spec.tokenSecret.template.data": map[string]any{"scope": "a"}}, wants: "must not replace access_token"},
		"data must not replace the expiry":            {set: fields{"spec.tokenSecret.template.data": map[string]any{"expires_at": "a"}}, wants: "must not replace access_token"},
		"data must not replace the account's ID":      {set: fields{"spec.tokenSecret.template.data": map[string]any{"account_id": "a"}}, wants: "must not replace access_token"},
		"data must not look like a refresh token":     {set: fields{"spec.tokenSecret.template.data": map[string]any{"refresh_token": "a"}}, wants: "account_id or refresh_token"},
		"data must be text and not a list of letters": {set: fields{"spec.tokenSecret.template.data": map[string]any{"a": []any{"b"}}}, wants: "must be of type string"},
	})
}

// TestTokenSecretsCannotImpersonate is S8a: who may write accounts and not Secrets makes none that other controllers take for theirs, or that
// is a credential of another account.
func TestTokenSecretsCannotImpersonate(t *testing.T) {
	const (
		types       = "must be Opaque, kubernetes.io/basic-auth or kubernetes.io/dockerconfigjson: Secrets of other types mean something to other controllers"
		labels      = "must not have labels under kubernetes.io, k8s.io, helm.sh, argoproj.io, fluxcd.io, tokenkeeper.dev or their subdomains: other controllers go by them"
		annotations = "must not have annotations under kubernetes.io, k8s.io, helm.sh, argoproj.io, fluxcd.io, tokenkeeper.dev or their subdomains"
	)
	rules := map[string]rule{}
	for value, wants := range map[string]string{
		"Opaque": "", "kubernetes.io/basic-auth": "", "kubernetes.io/dockerconfigjson": "",
		"opaque": types, "kubernetes.io/dockercfg": types, "kubernetes.io/tls": types, "kubernetes.io/ssh-auth": types, "kubernetes.io/service-account-token": types,
		"bootstrap.kubernetes.io/token": types, "helm.sh/release.v1": types, "tokenkeeper.dev/grant": types, "example.com/token": types,
	} {
		rules["type "+value] = rule{set: fields{"spec.tokenSecret.template.type": value}, wants: wants}
	}
	for key, refused := range map[string]bool{
		"team": false, "example.com/team": false, "kubernetes.io": false, "notkubernetes.io/a": false, "kubernetes.io.example.com/a": false, "myhelm.sh/a": false,
		"kubernetes.io/metadata.name": true, "app.kubernetes.io/managed-by": true, "app.kubernetes.io/part-of": true, "k8s.io/a": true, "cluster.x-k8s.io/a": false,
		"node.k8s.io/a": true, "helm.sh/chart": true, "meta.helm.sh/release-name": true, "argocd.argoproj.io/secret-type": true, "argoproj.io/a": true,
		"kustomize.toolkit.fluxcd.io/name": true, "fluxcd.io/a": true, "tokenkeeper.dev/account": true, "tokenkeeper.dev/use": true, "a.tokenkeeper.dev/use": true,
	} {
		for field, wants := range map[string]string{"labels": labels, "annotations": annotations} {
			if !refused {
				wants = ""
			}
			rules[field+" with "+key] = rule{set: fields{"spec.tokenSecret.template." + field: map[string]any{key: "application"}}, wants: wants}
		}
	}
	checkRules(t, with(t, account(t), fields{"spec.tokenSecret.template": map[string]any{}}), rules)
}

// eachOf are so many values of a length.
func eachOf(number, length int) map[string]any {
	all := map[string]any{}
	for i := range number {
		all[strings.Repeat("a", i+1)] = strings.Repeat("x", length)
	}
	return all
}

func TestAccountUpdates(t *testing.T) {
	const fixedType = "spec.tokenSecret.template.type must not be changed"
	stored := with(t, account(t), fields{"metadata.name": "updated", "spec.tokenSecret.name": "updated-token"})
	checkUpdates(t, stored, map[string]rule{
		"the login may change":              {set: fields{"spec.login": "another"}},
		"the grant may change":              {set: fields{"spec.grant.type": "AuthorizationCode"}},
		"the token Secret may be renamed":   {set: fields{"spec.tokenSecret.name": "another"}},
		"labels may be added":               {set: fields{"spec.tokenSecret.template.labels": map[string]any{"team": "shop"}}},
		"the marketplace must not change":   {set: fields{"spec.marketplaceRef.name": "ebay"}, wants: "marketplaceRef must not be changed; create another MarketplaceAccount"},
		"the environment must not change":   {set: fields{"spec.environment": "Sandbox"}, wants: "environment must not be changed; create another MarketplaceAccount"},
		"the environment may be left out":   {set: fields{"spec.environment": nil}},
		"the Secret's type must not change": {set: fields{"spec.tokenSecret.template.type": "kubernetes.io/basic-auth"}, wants: fixedType},
		"the Secret's type may change under another name": {
			set: fields{"spec.tokenSecret.template.type": "kubernetes.io/basic-auth", "spec.tokenSecret.name": "another"},
		},
		"the default name is not another name": {
			set: fields{"spec.tokenSecret.template.type": "kubernetes.io/basic-auth", "spec.tokenSecret.name": nil}, wants: fixedType,
		},
	})
}
