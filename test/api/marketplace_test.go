package api_test

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// marketplace is a valid Marketplace that says no more than it must.
func marketplace(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	return object(t, `
apiVersion: tokenkeeper.dev/v1alpha1
kind: Marketplace
metadata: {name: bol}
spec:
  displayName: bol
  environments: [{name: Production}]
  grants: [ClientCredentials]
  endpoints: {token: "https://login.bol.com/token"}
`)
}

// named makes n elements of a list map.
func named(n int, key string, others map[string]any) []any {
	return list(n, func(i int) any {
		element := map[string]any{key: strings.Repeat("a", i+1)}
		maps.Copy(element, others)
		return element
	})
}

func one(element map[string]any) []any { return []any{element} }

func TestMarketplaceNames(t *testing.T) {
	checkRules(t, marketplace(t), map[string]rule{
		"the least is enough":                         {},
		"a spec must be there":                        {set: fields{"spec": nil}, wants: "spec: Required value"},
		"a display name must be there":                {set: fields{"spec.displayName": nil}, wants: "spec.displayName: Required value"},
		"a display name may be a brand":               {set: fields{"spec.displayName": "Société des Marchés"}},
		"a display name must not be empty":            {set: fields{"spec.displayName": ""}, wants: "should be at least 1 chars long"},
		"a display name must be bounded":              {set: fields{"spec.displayName": strings.Repeat("a", 129)}, wants: "may not be more than 128"},
		"a display name must be one line":             {set: fields{"spec.displayName": "a\nb"}, wants: "spec.displayName in body should match"},
		"documentation may be missing":                {set: fields{"spec.documentationURL": ""}},
		"documentation may be a page":                 {set: fields{"spec.documentationURL": "https://api.bol.com/retailer#authentication"}},
		"documentation must not be a script":          {set: fields{"spec.documentationURL": "javascript:alert(1)"}, wants: "spec.documentationURL in body should match"},
		"documentation must not have white space":     {set: fields{"spec.documentationURL": "https://api.bol.com/ page"}, wants: "spec.documentationURL in body should match"},
		"documentation must be bounded":               {set: fields{"spec.documentationURL": "https://" + strings.Repeat("a", 2041)}, wants: "may not be more than 2048"},
		"grants must be named":                        {set: fields{"spec.grants": nil}, wants: "spec.grants: Required value"},
		"grants must be at least one":                 {set: fields{"spec.grants": []any{}}, wants: "should have at least 1 items"},
		"grants must exist":                           {set: fields{"spec.grants": []any{"Implicit"}}, wants: "Unsupported value"},
		"a grant must not come twice":                 {set: fields{"spec.grants": []any{"Password", "Password"}}, wants: "Duplicate value"},
		"environments must be named":                  {set: fields{"spec.environments": nil}, wants: "spec.environments: Required value"},
		"environments must be at least one":           {set: fields{"spec.environments": []any{}}, wants: "should have at least 1 items"},
		"environments must be bounded in number":      {set: fields{"spec.environments": named(17, "name", nil)}, wants: "must have at most 16 items"},
		"an environment must not come twice":          {set: fields{"spec.environments": []any{map[string]any{"name": "Production"}, map[string]any{"name": "Production"}}}, wants: "Duplicate value"},
		"an environment must have a name":             {set: fields{"spec.environments": one(map[string]any{})}, wants: "spec.environments[0].name: Required value"},
		"an environment's name must not be empty":     {set: fields{"spec.environments.0.name": ""}, wants: "should be at least 1 chars long"},
		"an environment's name must be possible":      {set: fields{"spec.environments.0.name": "not a name"}, wants: "spec.environments[0].name in body should match"},
		"an environment's name must be bounded":       {set: fields{"spec.environments.0.name": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"variables may be empty":                      {set: fields{"spec.environments.0.variables": []any{}}},
		"a variable has a name and a value":           {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host", "value": "bol.com"})}},
		"a variable must have a name":                 {set: fields{"spec.environments.0.variables": one(map[string]any{"value": "bol.com"})}, wants: "variables[0].name: Required value"},
		"a variable must have a value":                {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host"})}, wants: "variables[0].value: Required value"},
		"a variable's name must be possible":          {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "{host}", "value": "bol.com"})}, wants: "variables[0].name in body should match"},
		"a variable's value must not be empty":        {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host", "value": ""})}, wants: "should be at least 1 chars long"},
		"a variable's value must be one line":         {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host", "value": "a\r\nb"})}, wants: "variables[0].value in body should match"},
		"a variable's value must be bounded":          {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host", "value": strings.Repeat("a", 1025)})}, wants: "may not be more than 1024"},
		"a variable must not come twice":              {set: fields{"spec.environments.0.variables": []any{map[string]any{"name": "host", "value": "a"}, map[string]any{"name": "host", "value": "b"}}}, wants: "Duplicate value"},
		"variables must be bounded in number":         {set: fields{"spec.environments.0.variables": named(33, "name", map[string]any{"value": "b"})}, wants: "must have at most 32 items"},
		"a declared parameter must not be a variable": {set: fields{"spec.environments.0.variables": one(map[string]any{"name": "host", "value": "bol.com"}), "spec.parameters": one(map[string]any{"name": "host", "pattern": "[a-z]+"})}, wants: "parameters must not have the name of an environment's variable"},
	})
}

func TestMarketplaceURLs(t *testing.T) {
	const (
		scheme = "must start with https:// (http:// only to a loopback address)"
		host   = "must name a host, and must not hold a user name or password"
		text   = "must be made of characters that a URL may have and of {name} for a variable or parameter, and must not have a fragment"
	)
	urls := map[string]struct{ url, wants string }{
		"a URL may have a port, a path and a query":          {url: "https://login.bol.com:8443/oauth/token?version=2&x=%20"},
		"a URL may have no path":                             {url: "https://login.bol.com"},
		"a URL may have variables in its host and path":      {url: "https://{shop}.{host}/{region}/token"},
		"a URL may have an address for a host":               {url: "https://[2001:db8::1]:8443/token"},
		"a URL may lead to this machine without encryption":  {url: "http://127.0.0.1:8080/token"},
		"a URL may lead to this machine by name":             {url: "http://localhost/token"},
		"a URL may lead to this machine by IPv6":             {url: "http://[::1]:8080/token"},
		"a URL must be encrypted":                            {url: "http://login.bol.com/token", wants: scheme},
		"a URL must be absolute":                             {url: "/oauth/token", wants: scheme},
		"a URL must not be another protocol":                 {url: "file:///etc/passwd", wants: scheme},
		"a URL must not hide a host behind localhost":        {url: "http://localhost.evil.com/", wants: scheme},
		"a URL must not hide a host behind an address":       {url: "http://127.0.0.1.evil.com/", wants: scheme},
		"a URL must not pass localhost as a user":            {url: "http://localhost@evil.com/", wants: scheme},
		"a URL must not pass localhost as user and password": {url: "http://localhost:80@evil.com/", wants: scheme},
		"a URL must not complete localhost with a variable":  {url: "http://localhost{suffix}/", wants: scheme},
		"a URL must not start with a variable":               {url: "{scheme}://login.bol.com/", wants: scheme},
		"a URL must not have a user":                         {url: "https://me@login.bol.com/token", wants: host},
		"a URL must not have a password":                     {url: "https://me:secret@login.bol.com/token", wants: host},
		"a URL must have a host":                             {url: "https:///token", wants: host},
		"a URL must not have a port alone":                   {url: "https://:8443/token", wants: host},
		"a URL's port must be a number":                      {url: "https://login.bol.com:https/token", wants: host},
		"a URL's host must not be prose":                     {url: "https://login bol com/token", wants: host},
		"a URL must not have a backslash":                    {url: `https://login.bol.com\@evil.com/`, wants: host},
		"a URL's path must not have a backslash":             {url: `https://login.bol.com/\token`, wants: text},
		"a URL must not have white space":                    {url: "https://login.bol.com/to ken", wants: text},
		"a URL must not have a line break":                   {url: "https://login.bol.com/\ntoken", wants: text},
		"a URL must not have letters that need escaping":     {url: "https://login.bol.com/żeton", wants: text},
		"a URL must not have a broken escape":                {url: "https://login.bol.com/%zz", wants: text},
		"a URL must not have a fragment":                     {url: "https://login.bol.com/token#top", wants: text},
		"a URL must close its braces":                        {url: "https://login.bol.com/{region", wants: text},
		"a URL must name its variables":                      {url: "https://login.bol.com/{}", wants: text},
		"a URL must not put expressions in braces":           {url: "https://login.bol.com/{a b}", wants: text},
		"a URL must be bounded":                              {url: "https://" + strings.Repeat("a", 2041), wants: "may not be more than 2048"},
	}
	rules := map[string]rule{}
	for sentence, url := range urls {
		rules[sentence] = rule{set: fields{"spec.endpoints.token": url.url}, wants: url.wants}
	}
	for _, endpoint := range []string{"authorization", "deviceAuthorization", "refresh", "revocation", "issuer"} {
		rules["a URL is checked as endpoint "+endpoint] = rule{set: fields{"spec.endpoints." + endpoint: "http://login.bol.com/"}, wants: scheme}
		rules["no URL may be spelt out as endpoint "+endpoint] = rule{set: fields{"spec.endpoints." + endpoint: ""}}
	}
	rules["a URL is checked in the identity request"] = rule{set: fields{"spec.identity.request.url": "http://login.bol.com/"}, wants: scheme}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceEndpoints(t *testing.T) {
	checkRules(t, marketplace(t), map[string]rule{
		"endpoints must be there":                {set: fields{"spec.endpoints": nil}, wants: "spec.endpoints: Required value"},
		"endpoints must not be empty":            {set: fields{"spec.endpoints": map[string]any{}}, wants: "spec.endpoints in body should have at least 1 properties"},
		"a token endpoint must be there":         {set: fields{"spec.endpoints.token": ""}, wants: "token or issuer must be set"},
		"an issuer is enough":                    {set: fields{"spec.endpoints": map[string]any{"issuer": "https://login.bol.com/"}}},
		"an issuer must not have a query":        {set: fields{"spec.endpoints.issuer": "https://login.bol.com/?tenant=1"}, wants: "must not have a query"},
		"AuthorizationCode must have a page":     {set: fields{"spec.grants": []any{"AuthorizationCode"}}, wants: "endpoints.authorization or endpoints.issuer must be set with grant AuthorizationCode"},
		"AuthorizationCode may have a page":      {set: fields{"spec.grants": []any{"AuthorizationCode"}, "spec.endpoints.authorization": "https://login.bol.com/"}},
		"AuthorizationCode may have an issuer":   {set: fields{"spec.grants": []any{"AuthorizationCode"}, "spec.endpoints.issuer": "https://login.bol.com/"}},
		"DeviceCode must have an endpoint":       {set: fields{"spec.grants": []any{"DeviceCode"}}, wants: "endpoints.deviceAuthorization or endpoints.issuer must be set with grant DeviceCode"},
		"DeviceCode must have more than nothing": {set: fields{"spec.grants": []any{"DeviceCode"}, "spec.endpoints.deviceAuthorization": ""}, wants: "must be set with grant DeviceCode"},
		"DeviceCode may have an endpoint":        {set: fields{"spec.grants": []any{"DeviceCode"}, "spec.endpoints.deviceAuthorization": "https://login.bol.com/device"}},
		"DeviceCode may have an issuer":          {set: fields{"spec.grants": []any{"DeviceCode"}, "spec.endpoints.issuer": "https://login.bol.com/"}},
	})
}

func TestMarketplaceParameters(t *testing.T) {
	declare := func(field string, value any) []any {
		return one(map[string]any{"name": "region", "pattern": "[a-z]+", field: value})
	}
	enum := func(values ...any) []any {
		return one(map[string]any{"name": "region", "enum": values})
	}
	checkRules(t, marketplace(t), map[string]rule{
		"parameters may be none":                            {set: fields{"spec.parameters": []any{}}},
		"a parameter may have a pattern":                    {set: fields{"spec.parameters": declare("pattern", "[a-z]{2}|global")}},
		"a parameter may have an enum":                      {set: fields{"spec.parameters": enum("eu", "na")}},
		"a parameter may be required":                       {set: fields{"spec.parameters": declare("required", true)}},
		"a parameter may be described":                      {set: fields{"spec.parameters": declare("description", "The region of the shop.")}},
		"a parameter may have a default that matches":       {set: fields{"spec.parameters": declare("default", "eu")}},
		"a parameter may have a default among its values":   {set: fields{"spec.parameters": one(map[string]any{"name": "region", "enum": []any{"eu"}, "default": "eu"})}},
		"a parameter must have a name":                      {set: fields{"spec.parameters": one(map[string]any{"pattern": "[a-z]+"})}, wants: "spec.parameters[0].name: Required value"},
		"a parameter's name must not be empty":              {set: fields{"spec.parameters": declare("name", "")}, wants: "should be at least 1 chars long"},
		"a parameter's name must be possible":               {set: fields{"spec.parameters": declare("name", "2nd")}, wants: "spec.parameters[0].name in body should match"},
		"a parameter's name must be bounded":                {set: fields{"spec.parameters": declare("name", strings.Repeat("a", 64))}, wants: "may not be more than 63"},
		"a parameter must not stand for the token":          {set: fields{"spec.parameters": declare("name", "accessToken")}, wants: "must not be accessToken"},
		"a parameter must not come twice":                   {set: fields{"spec.parameters": append(declare("name", "region"), declare("name", "region")...)}, wants: "Duplicate value"},
		"a parameter must be limited":                       {set: fields{"spec.parameters": one(map[string]any{"name": "region"})}, wants: "pattern, enum or choices must be set: an account's value becomes part of a URL"},
		"a description must not be empty":                   {set: fields{"spec.parameters": declare("description", "")}, wants: "should be at least 1 chars long"},
		"a description must be bounded":                     {set: fields{"spec.parameters": declare("description", strings.Repeat("a", 1025))}, wants: "may not be more than 1024"},
		"a pattern must not be empty":                       {set: fields{"spec.parameters": declare("pattern", "")}, wants: "should be at least 1 chars long"},
		"a pattern must be bounded":                         {set: fields{"spec.parameters": declare("pattern", strings.Repeat("a", 257))}, wants: "may not be more than 256"},
		"a pattern must be one":                             {set: fields{"spec.parameters": declare("pattern", "[a-z")}, wants: "must be a regular expression (RE2)"},
		"a pattern must not escape its anchors":             {set: fields{"spec.parameters": declare("pattern", "eu)|(.*")}, wants: "must be a regular expression (RE2)"},
		"an enum must not be empty":                         {set: fields{"spec.parameters": enum([]any{}...)}, wants: "should have at least 1 items"},
		"an enum's value must not be empty":                 {set: fields{"spec.parameters": enum("")}, wants: "should be at least 1 chars long"},
		"an enum's value must be bounded":                   {set: fields{"spec.parameters": enum(strings.Repeat("a", 254))}, wants: "may not be more than 253"},
		"an enum's value must be one that accounts can say": {set: fields{"spec.parameters": enum("eu/west")}, wants: "spec.parameters[0].enum[0] in body should match"},
		"an enum's value must not come twice":               {set: fields{"spec.parameters": enum("eu", "eu")}, wants: "Duplicate value"},
		"an enum must be bounded in number":                 {set: fields{"spec.parameters": enum(list(65, func(i int) any { return strings.Repeat("a", i+1) })...)}, wants: "must have at most 64 items"},
		"a default must match the pattern":                  {set: fields{"spec.parameters": declare("default", "EU")}, wants: "default must match pattern"},
		"a default must match the whole pattern":            {set: fields{"spec.parameters": declare("default", "eu1")}, wants: "default must match pattern"},
		"a default must be among the values":                {set: fields{"spec.parameters": one(map[string]any{"name": "region", "enum": []any{"eu"}, "default": "na"})}, wants: "default must be one of enum"},
		"a default must be one that accounts can say":       {set: fields{"spec.parameters": one(map[string]any{"name": "region", "pattern": ".*", "default": "eu/west"})}, wants: "default must be made of letters, digits and . _ ~ - unless usage is Value"},
		"a default must not be empty":                       {set: fields{"spec.parameters": declare("default", "")}, wants: "should be at least 1 chars long"},
		"a default must be bounded":                         {set: fields{"spec.parameters": declare("default", strings.Repeat("a", 254))}, wants: "may not be more than 253"},
		"required must be true or false":                    {set: fields{"spec.parameters": declare("required", "Always")}, wants: "must be of type boolean"},
		"parameters must be bounded in number":              {set: fields{"spec.parameters": named(17, "name", map[string]any{"pattern": "a"})}, wants: "must have at most 16 items"},
	})
}

func TestMarketplaceScopes(t *testing.T) {
	checkRules(t, marketplace(t), map[string]rule{
		"scopes may be none":                   {set: fields{"spec.scopes.default": []any{}}},
		"scopes may be separated by commas":    {set: fields{"spec.scopes.separator": ","}},
		"scopes may be separated by a plus":    {set: fields{"spec.scopes.separator": "+"}},
		"scopes must have a separator we know": {set: fields{"spec.scopes.separator": ";"}, wants: `supported values: " ", ",", "+"`},
		"a scope must not have a space":        {set: fields{"spec.scopes.default": []any{"a b"}}, wants: "spec.scopes.default[0] in body should match"},
		"a scope must not come twice":          {set: fields{"spec.scopes.default": []any{"a", "a"}}, wants: "Duplicate value"},
		"scopes may be unreported":             {set: fields{"spec.scopes.unreported": []any{"offline_access", "write_*", "*"}}},
		"an unreported scope must not have a star within": {
			set: fields{"spec.scopes.unreported": []any{"a*b"}}, wants: "must not have a star (*) but at the end, where it stands for anything",
		},
		"an unreported scope must not have two stars": {
			set: fields{"spec.scopes.unreported": []any{"a**"}}, wants: "must not have a star (*) but at the end, where it stands for anything",
		},
		"an unreported scope must not come twice": {set: fields{"spec.scopes.unreported": []any{"a", "a"}}, wants: "Duplicate value"},
		"scopes must be bounded in number":        {set: fields{"spec.scopes.default": list(65, func(i int) any { return strings.Repeat("a", i+1) })}, wants: "must have at most 64 items"},
	})
}

func TestMarketplaceAuthorizationRequest(t *testing.T) {
	parameters := func(name, value string) fields {
		return fields{"spec.authorizationRequest.parameters": one(map[string]any{"name": name, "value": value})}
	}
	rename := func(from, to string) fields {
		return fields{"spec.authorizationRequest.rename": one(map[string]any{"from": from, "to": to})}
	}
	const reserved = "must not set state, nonce, code_challenge, code_challenge_method, redirect_uri or client_secret"
	rules := map[string]rule{
		"PKCE may be disabled":                    {set: fields{"spec.authorizationRequest.pkce": "Disabled"}},
		"PKCE must not be plain":                  {set: fields{"spec.authorizationRequest.pkce": "Plain"}, wants: `supported values: "S256", "Disabled"`},
		"parameters may be added":                 {set: parameters("prompt", "confirm")},
		"a parameter must have a name":            {set: parameters("", "confirm"), wants: "should be at least 1 chars long"},
		"a parameter must have a value":           {set: parameters("prompt", ""), wants: "should be at least 1 chars long"},
		"parameters must be bounded in number":    {set: fields{"spec.authorizationRequest.parameters": named(33, "name", map[string]any{"value": "b"})}, wants: "must have at most 32 items"},
		"parameters may be renamed":               {set: rename("client_id", "application_id")},
		"a renamed parameter must have a name":    {set: rename("", "application_id"), wants: "should be at least 1 chars long"},
		"a renamed parameter must get a name":     {set: rename("client_id", ""), wants: "should be at least 1 chars long"},
		"a renamed parameter must be possible":    {set: rename("client id", "application_id"), wants: "rename[0].from in body should match"},
		"a parameter's new name must be possible": {set: rename("client_id", "a&b"), wants: "rename[0].to in body should match"},
		"a parameter's old name must be bounded":  {set: rename(strings.Repeat("a", 64), "b"), wants: "may not be more than 63"},
		"a parameter's new name must be bounded":  {set: rename("a", strings.Repeat("b", 64)), wants: "may not be more than 63"},
		"renaming must be bounded in number": {set: fields{"spec.authorizationRequest.rename": list(17, func(i int) any {
			return map[string]any{"from": strings.Repeat("a", i+1), "to": strings.Repeat("b", i+1)}
		})}, wants: "must have at most 16 items"},
		"two parameters must not get one name":     {set: fields{"spec.authorizationRequest.rename": named(2, "from", map[string]any{"to": "b"})}, wants: "must not give two parameters the same name"},
		"state must keep its name":                 {set: rename("state", "s"), wants: "must not rename state, nor give its name to another parameter"},
		"state must not be another parameter":      {set: rename("scope", "state"), wants: "must not rename state, nor give its name to another parameter"},
		"a parameter must not be renamed twice":    {set: fields{"spec.authorizationRequest.rename": append(rename("a", "b")["spec.authorizationRequest.rename"].([]any), rename("a", "c")["spec.authorizationRequest.rename"].([]any)...)}, wants: "Duplicate value"},
		"parameters may be omitted":                {set: fields{"spec.authorizationRequest.omit": []any{"response_type", "scope"}}},
		"state must not be omitted":                {set: fields{"spec.authorizationRequest.omit": []any{"state"}}, wants: "must not omit state"},
		"an omitted parameter must have a name":    {set: fields{"spec.authorizationRequest.omit": []any{""}}, wants: "should be at least 1 chars long"},
		"an omitted parameter must be possible":    {set: fields{"spec.authorizationRequest.omit": []any{"a b"}}, wants: "omit[0] in body should match"},
		"an omitted parameter must be bounded":     {set: fields{"spec.authorizationRequest.omit": []any{strings.Repeat("a", 64)}}, wants: "may not be more than 63"},
		"a parameter must not be omitted twice":    {set: fields{"spec.authorizationRequest.omit": []any{"scope", "scope"}}, wants: "Duplicate value"},
		"omitting must be bounded in number":       {set: fields{"spec.authorizationRequest.omit": list(17, func(i int) any { return strings.Repeat("a", i+1) })}, wants: "must have at most 16 items"},
		"the callback may name things its own way": {set: fields{"spec.authorizationRequest.callback": map[string]any{"code": "spapi_oauth_code", "accountID": "selling_partner_id"}}},
		"the callback may not name an account":     {set: fields{"spec.authorizationRequest.callback.accountID": ""}},
		"the callback must name a code":            {set: fields{"spec.authorizationRequest.callback.code": ""}, wants: "should be at least 1 chars long"},
		"the callback's code must be possible":     {set: fields{"spec.authorizationRequest.callback.code": "a code"}, wants: "callback.code in body should match"},
		"the callback's code must be bounded":      {set: fields{"spec.authorizationRequest.callback.code": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"the callback's account must be possible":  {set: fields{"spec.authorizationRequest.callback.accountID": "an id"}, wants: "callback.accountID in body should match"},
		"the callback's account must be bounded":   {set: fields{"spec.authorizationRequest.callback.accountID": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
	}
	for _, name := range []string{"state", "nonce", "code_challenge", "code_challenge_method", "redirect_uri", "client_secret"} {
		rules["the operator alone must set "+name] = rule{set: parameters(name, "a"), wants: reserved}
	}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceStoreStart(t *testing.T) {
	start := map[string]any{
		"callbackURI": "amazon_callback_uri", "state": "amazon_state", "hosts": []any{"amazon.com", "sellercentral-europe.amazon.com"},
	}
	with := func(field string, value any) fields {
		changed := maps.Clone(start)
		changed[field] = value
		if value == nil {
			delete(changed, field)
		}
		return fields{"spec.authorizationRequest.storeStart": changed}
	}
	hosts := func(hosts ...any) fields { return with("hosts", hosts) }
	const (
		taken = "must not be state, nonce, code_challenge, code_challenge_method or redirect_uri, which the operator sends as well"
		match = "storeStart.hosts[0] in body should match"
	)
	rules := map[string]rule{
		"a store may begin sign-ins":              {set: with("state", "amazon_state")},
		"a store must send an address":            {set: with("callbackURI", nil), wants: "storeStart.callbackURI: Required value"},
		"the address must have a name":            {set: with("callbackURI", ""), wants: "should be at least 1 chars long"},
		"the address' name must be possible":      {set: with("callbackURI", "a&b"), wants: "storeStart.callbackURI in body should match"},
		"the address' name must be bounded":       {set: with("callbackURI", strings.Repeat("a", 64)), wants: "may not be more than 63"},
		"a store must send a state":               {set: with("state", nil), wants: "storeStart.state: Required value"},
		"the state must have a name":              {set: with("state", ""), wants: "should be at least 1 chars long"},
		"the state's name must be possible":       {set: with("state", "a b"), wants: "storeStart.state in body should match"},
		"the state's name must be bounded":        {set: with("state", strings.Repeat("a", 64)), wants: "may not be more than 63"},
		"address and state must not be one":       {set: with("state", "amazon_callback_uri"), wants: "callbackURI and state must not be the same parameter"},
		"a store must have hosts":                 {set: with("hosts", nil), wants: "storeStart.hosts: Required value"},
		"a store must have a host":                {set: with("hosts", []any{}), wants: "should have at least 1 items"},
		"a store must not have a host twice":      {set: hosts("amazon.com", "amazon.com"), wants: "Duplicate value"},
		"hosts must be bounded in number":         {set: with("hosts", list(129, func(i int) any { return strings.Repeat("a", i+1) + ".com" })), wants: "must have at most 128 items"},
		"a host must not be empty":                {set: hosts(""), wants: "should be at least 1 chars long"},
		"a host must be bounded":                  {set: hosts(strings.Repeat("a", 250) + ".com"), wants: "may not be more than 253"},
		"a host may be an international one":      {set: hosts("xn--bcher-kva.example")},
		"a host must be written in small letters": {set: hosts("Amazon.com"), wants: match},
		"a host must not be an address":           {set: hosts("https://amazon.com"), wants: match},
		"a host must not have a port":             {set: hosts("amazon.com:443"), wants: match},
		"a host must not have a path":             {set: hosts("amazon.com/"), wants: match},
		"a host must not have a user":             {set: hosts("me@amazon.com"), wants: match},
		"a host must not be a pattern":            {set: hosts("*.amazon.com"), wants: match},
		"a host must not begin with a dot":        {set: hosts(".amazon.com"), wants: match},
		"a host must not end with a dot":          {set: hosts("amazon.com."), wants: match},
		"a host must not be a whole domain":       {set: hosts("com"), wants: match},
		"a host must not be a variable":           {set: hosts("{host}"), wants: match},
		"a host must not begin with a dash":       {set: hosts("-amazon.com"), wants: match},
	}
	for _, name := range []string{"state", "nonce", "code_challenge", "code_challenge_method", "redirect_uri"} {
		rules["the state must not be called "+name] = rule{set: with("state", name), wants: taken}
	}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceTokenRequest(t *testing.T) {
	parameters := func(name, value string) fields {
		return fields{"spec.tokenRequest.parameters": one(map[string]any{"name": name, "value": value})}
	}
	headers := func(name, value string) fields {
		return fields{"spec.tokenRequest.headers": one(map[string]any{"name": name, "value": value})}
	}
	rules := map[string]rule{
		"the application may be in the body":        {set: fields{"spec.tokenRequest.clientAuthentication": "Body"}},
		"the application may be public":             {set: fields{"spec.tokenRequest.clientAuthentication": "None"}},
		"the application must prove itself somehow": {set: fields{"spec.tokenRequest.clientAuthentication": "Auto"}, wants: `supported values: "Basic", "BasicUnescaped", "Body", "None"`},
		"the request may be JSON":                   {set: fields{"spec.tokenRequest.encoding": "JSON"}},
		"the request must be form or JSON":          {set: fields{"spec.tokenRequest.encoding": "XML"}, wants: `supported values: "Form", "JSON"`},
		"parameters may be added":                   {set: parameters("audience", "https://api.xsale.ai")},
		"the grant's type may be replaced":          {set: parameters("grant_type", "http://auth0.com/oauth/grant-type/password-realm")},
		"a parameter may be for some grants":        {set: fields{"spec.tokenRequest.parameters": one(map[string]any{"name": "expiring", "value": "1", "grants": []any{"AuthorizationCode"}})}},
		"a parameter must be for grants that exist": {set: fields{"spec.tokenRequest.parameters": one(map[string]any{"name": "expiring", "value": "1", "grants": []any{"Implicit"}})}, wants: "Unsupported value"},
		"a parameter's name must not be empty":      {set: parameters("", "a"), wants: "should be at least 1 chars long"},
		"a parameter's name must be possible":       {set: parameters("a=b", "a"), wants: "parameters[0].name in body should match"},
		"a parameter's name must be bounded":        {set: parameters(strings.Repeat("a", 64), "a"), wants: "may not be more than 63"},
		"a parameter's value must not be empty":     {set: parameters("audience", ""), wants: "should be at least 1 chars long"},
		"a parameter's value must be bounded":       {set: parameters("audience", strings.Repeat("a", 1025)), wants: "may not be more than 1024"},
		"a parameter's value must be one line":      {set: parameters("audience", "a\nb"), wants: "parameters[0].value in body should match"},
		"parameters must be bounded in number":      {set: fields{"spec.tokenRequest.parameters": named(33, "name", map[string]any{"value": "b"})}, wants: "must have at most 32 items"},
		"parameters may be renamed":                 {set: fields{"spec.tokenRequest.rename": one(map[string]any{"from": "client_id", "to": "app_key"})}},
		"two parameters must not get one name":      {set: fields{"spec.tokenRequest.rename": named(2, "from", map[string]any{"to": "b"})}, wants: "must not give two parameters the same name"},
		"renaming must be bounded in number": {set: fields{"spec.tokenRequest.rename": list(17, func(i int) any {
			return map[string]any{"from": strings.Repeat("a", i+1), "to": strings.Repeat("b", i+1)}
		})}, wants: "must have at most 16 items"},
		"headers may be added":                    {set: headers("WM_SVC.NAME", "Walmart Marketplace")},
		"a header's name must not be empty":       {set: headers("", "a"), wants: "should be at least 1 chars long"},
		"a header's name must be a token":         {set: headers("X Header", "a"), wants: "headers[0].name in body should match"},
		"a header's name must not end the header": {set: headers("X-A:\r\nX-B", "a"), wants: "headers[0].name in body should match"},
		"a header's name must be bounded":         {set: headers(strings.Repeat("a", 64), "a"), wants: "may not be more than 63"},
		"a header's value must not be empty":      {set: headers("X-A", ""), wants: "should be at least 1 chars long"},
		"a header's value must be one line":       {set: headers("X-A", "a\r\nX-B: b"), wants: "headers[0].value in body should match"},
		"a header must not come twice":            {set: fields{"spec.tokenRequest.headers": append(one(map[string]any{"name": "a", "value": "b"}), one(map[string]any{"name": "a", "value": "c"})...)}, wants: "Duplicate value"},
		"headers must be bounded in number":       {set: fields{"spec.tokenRequest.headers": named(17, "name", map[string]any{"value": "b"})}, wants: "must have at most 16 items"},
	}
	for _, name := range []string{"client_id", "client_secret", "code", "code_verifier", "device_code", "password", "refresh_token", "username"} {
		rules["a parameter must not carry the credential "+name] = rule{set: parameters(name, "a"), wants: "must not be a parameter that carries a credential"}
	}
	for _, name := range []string{"Authorization", "content-type", "Content-Length", "HOST", "Cookie", "Transfer-Encoding"} {
		rules["a header must not be "+name] = rule{set: headers(name, "a"), wants: "must not be Authorization, Content-Type, Content-Length, Host, Cookie or Transfer-Encoding"}
	}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceTokenResponse(t *testing.T) {
	meaning := func(field string, value any) fields {
		return fields{"spec.tokenResponse.errors": one(map[string]any{"code": "a", "reason": "GrantRejected", field: value})}
	}
	rules := map[string]rule{
		"nothing needs to differ":                 {set: fields{"spec.tokenResponse": map[string]any{}}},
		"the answer may be wrapped":               {set: fields{"spec.tokenResponse.envelope": "data.token"}},
		"the envelope must be a name":             {set: fields{"spec.tokenResponse.envelope": "{.data}"}, wants: "spec.tokenResponse.envelope in body should match"},
		"the envelope must be bounded":            {set: fields{"spec.tokenResponse.envelope": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"the expiry must have a unit we know":     {set: fields{"spec.tokenResponse.expiryUnit": "Minutes"}, wants: `supported values: "Seconds", "Milliseconds", "UnixSeconds", "UnixMilliseconds", "RFC3339"`},
		"the expiry may be a moment":              {set: fields{"spec.tokenResponse.expiryUnit": "UnixMilliseconds"}},
		"the token's type may be replaced":        {set: fields{"spec.tokenResponse.tokenType": "Bearer"}},
		"the token's type must be a word":         {set: fields{"spec.tokenResponse.tokenType": "User Access Token"}, wants: "spec.tokenResponse.tokenType in body should match"},
		"the token's type must be bounded":        {set: fields{"spec.tokenResponse.tokenType": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"an error may have a code":                {set: meaning("code", "too_many_attempts")},
		"an error may have a status alone":        {set: fields{"spec.tokenResponse.errors": one(map[string]any{"status": int64(429), "reason": "RateLimited"})}},
		"an error may be of some grants":          {set: meaning("grants", []any{"Password"})},
		"an error must be of grants that exist":   {set: meaning("grants", []any{"Implicit"}), wants: "Unsupported value"},
		"an error must have a code or a status":   {set: fields{"spec.tokenResponse.errors": one(map[string]any{"reason": "GrantRejected"})}, wants: "code or status must be set"},
		"an error must have a reason":             {set: fields{"spec.tokenResponse.errors": one(map[string]any{"code": "a"})}, wants: "errors[0].reason: Required value"},
		"an error must have a reason that exists": {set: meaning("reason", "Ready"), wants: "Unsupported value"},
		"an error's code must not be empty":       {set: meaning("code", ""), wants: "should be at least 1 chars long"},
		"an error's code must be bounded":         {set: meaning("code", strings.Repeat("a", 64)), wants: "may not be more than 63"},
		"an error's status must be an answer":     {set: meaning("status", int64(199)), wants: "should be greater than or equal to 200"},
		"an error's status must be possible":      {set: meaning("status", int64(600)), wants: "should be less than or equal to 599"},
		"errors must be bounded in number":        {set: fields{"spec.tokenResponse.errors": list(33, func(int) any { return map[string]any{"code": "a", "reason": "GrantRejected"} })}, wants: "must have at most 32 items"},
	}
	for _, reason := range []string{"GrantRejected", "PasswordRejected", "AccountLocked", "ApplicationRejected", "ScopeRejected", "RateLimited", "MarketplaceUnavailable", "InvalidSpec"} {
		rules["an error may mean "+reason] = rule{set: meaning("reason", reason)}
	}
	for _, field := range []string{"accessToken", "refreshToken", "idToken", "tokenType", "scope", "expiresIn", "refreshTokenExpiresIn", "accountID", "error", "errorDescription"} {
		path := "spec.tokenResponse.fields." + field
		rules["the answer may name its own "+field] = rule{set: fields{path: "token.Value_1-a"}}
		rules["the answer may spell out the usual "+field] = rule{set: fields{path: ""}}
		rules["the answer must have a possible name for "+field] = rule{set: fields{path: "a b"}, wants: path + " in body should match"}
	}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceTokens(t *testing.T) {
	const malformed = "must be a duration from 1s to 87600h, such as 90s, 12h or 1h30m"
	rules := map[string]rule{
		"refresh tokens may be static":              {set: fields{"spec.refreshToken.rotation": "Static"}},
		"refresh tokens must be rotating or static": {set: fields{"spec.refreshToken.rotation": "Maybe"}, wants: `supported values: "Rotating", "Static"`},
		"authorizations may slide":                  {set: fields{"spec.refreshToken.expiry": "Sliding"}},
		"authorizations may be fixed":               {set: fields{"spec.refreshToken.expiry": "Fixed"}},
		"authorizations must end in a way we know":  {set: fields{"spec.refreshToken.expiry": "Never"}, wants: `supported values: "Sliding", "Fixed", "None"`},
		"renewal may be limited":                    {set: fields{"spec.renewal": map[string]any{"before": "10m", "maxBefore": "10m"}}},
		"renewal must not be before it is possible": {set: fields{"spec.renewal": map[string]any{"before": "11m", "maxBefore": "10m"}}, wants: "before must not be longer than maxBefore"},
		"renewal may be limited without a default":  {set: fields{"spec.renewal": map[string]any{"before": "", "maxBefore": "10m"}}},
		"renewal must not be a year before":         {set: fields{"spec.renewal.before": "8761h"}, wants: "must be at most 8760h"},
		"renewal must not be possible years before": {set: fields{"spec.renewal.maxBefore": "8761h"}, wants: "must be at most 8760h"},
		"limits may be wide":                        {set: fields{"spec.limits": map[string]any{"requestsPerSecond": int64(10000), "concurrency": int64(1000)}}},
		"requests must be possible":                 {set: fields{"spec.limits.requestsPerSecond": int64(0)}, wants: "should be greater than or equal to 1"},
		"requests must be bounded":                  {set: fields{"spec.limits.requestsPerSecond": int64(10001)}, wants: "should be less than or equal to 10000"},
		"concurrency must be possible":              {set: fields{"spec.limits.concurrency": int64(0)}, wants: "should be greater than or equal to 1"},
		"concurrency must be bounded":               {set: fields{"spec.limits.concurrency": int64(1001)}, wants: "should be less than or equal to 1000"},
	}
	for _, path := range []string{
		"spec.accessToken.lifetime", "spec.refreshToken.lifetime", "spec.refreshToken.reuseGrace",
		"spec.applicationSecret.lifetime", "spec.renewal.before", "spec.renewal.maxBefore",
	} {
		rules[path+" may be a duration"] = rule{set: fields{path: "90s"}}
		rules[path+" may be spelt out as not set"] = rule{set: fields{path: ""}}
		rules[path+" must not be negative"] = rule{set: fields{path: "-90s"}, wants: malformed}
		rules[path+" must not be nothing"] = rule{set: fields{path: "0s"}, wants: malformed}
		rules[path+" must not be absurd"] = rule{set: fields{path: "87601h"}, wants: malformed}
		rules[path+" must not be in days"] = rule{set: fields{path: "90d"}, wants: malformed}
	}
	checkRules(t, marketplace(t), rules)
}

func TestMarketplaceApplication(t *testing.T) {
	shared := with(t, marketplace(t), fields{"spec.application": map[string]any{
		"secretRef":         map[string]any{"name": "bol-app", "namespace": "tokenkeeper-system"},
		"namespaceSelector": map[string]any{},
	}})
	selector := func(expression map[string]any) fields {
		return fields{"spec.application.namespaceSelector.matchExpressions": one(expression)}
	}
	const operators = "must have the operators In or NotIn with values, or Exists or DoesNotExist without"
	checkRules(t, shared, map[string]rule{
		"all namespaces may use it":                {},
		"some namespaces may use it":               {set: fields{"spec.application.namespaceSelector.matchLabels": map[string]any{"tokenkeeper.dev/bol": "allowed"}}},
		"namespaces may be selected by expression": {set: selector(map[string]any{"key": "team", "operator": "In", "values": []any{"shop"}})},
		"namespaces may be selected by presence":   {set: selector(map[string]any{"key": "team", "operator": "Exists"})},
		"a selector must be there":                 {set: fields{"spec.application.namespaceSelector": nil}, wants: "spec.application.namespaceSelector: Required value"},
		"a selector must have operators we know":   {set: selector(map[string]any{"key": "team", "operator": "Like", "values": []any{"shop"}}), wants: operators},
		"a selector must have values with In":      {set: selector(map[string]any{"key": "team", "operator": "In"}), wants: operators},
		"a selector must have none with Exists":    {set: selector(map[string]any{"key": "team", "operator": "Exists", "values": []any{"shop"}}), wants: operators},
		"a Secret must be named":                   {set: fields{"spec.application.secretRef": nil}, wants: "spec.application.secretRef: Required value"},
		"a Secret must have a name":                {set: fields{"spec.application.secretRef.name": nil}, wants: "spec.application.secretRef.name: Required value"},
		"a Secret must have a namespace":           {set: fields{"spec.application.secretRef.namespace": nil}, wants: "spec.application.secretRef.namespace: Required value"},
		"a Secret's name must be possible":         {set: fields{"spec.application.secretRef.name": "a/b"}, wants: "spec.application.secretRef.name in body should match"},
		"a Secret's name must be bounded":          {set: fields{"spec.application.secretRef.name": strings.Repeat("a", 254)}, wants: "may not be more than 253"},
		"a Secret's namespace must be possible":    {set: fields{"spec.application.secretRef.namespace": "a.b"}, wants: "spec.application.secretRef.namespace in body should match"},
		"a Secret's namespace must be bounded":     {set: fields{"spec.application.secretRef.namespace": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
	})
}

// TestSharedApplicationsGoToListedHostsAlone is S10: with a Marketplace's own application, no author of an account chooses where its secret goes.
func TestSharedApplicationsGoToListedHostsAlone(t *testing.T) {
	const refused = "parameters in the host of an endpoint, or in the issuer, must have enum or choices where application is set: an account's author would choose where its secret goes"
	open := map[string]any{"name": "shop", "pattern": "[a-z0-9.-]+"}
	shared := with(t, marketplace(t), fields{
		"spec.application": map[string]any{
			"secretRef":         map[string]any{"name": "bol-app", "namespace": "tokenkeeper-system"},
			"namespaceSelector": map[string]any{},
		},
		"spec.parameters": one(open),
	})
	rules := map[string]rule{
		"a parameter may stand elsewhere":   {},
		"a parameter may stand in a path":   {set: fields{"spec.endpoints.token": "https://login.bol.com/{shop}/token?shop={shop}"}},
		"a parameter may stand in a query":  {set: fields{"spec.endpoints.token": "https://login.bol.com?shop={shop}"}},
		"a path of the issuer counts":       {set: fields{"spec.endpoints.issuer": "https://login.bol.com/{shop}"}, wants: refused},
		"another name may begin so":         {set: fields{"spec.endpoints.token": "https://{shops}.bol.com/token"}},
		"a host must not be the whole host": {set: fields{"spec.endpoints.token": "https://{shop}"}, wants: refused},
		"a port must not be chosen":         {set: fields{"spec.endpoints.token": "https://a{shop}:8443/token"}, wants: refused},
		"a second parameter counts too": {
			set:   fields{"spec.endpoints.token": "https://{b}.bol.com/", "spec.parameters": []any{open, map[string]any{"name": "b", "pattern": "a+"}}},
			wants: refused,
		},
	}
	for _, endpoint := range []string{"issuer", "authorization", "deviceAuthorization", "token", "refresh", "revocation"} {
		host := fields{"spec.endpoints." + endpoint: "https://{shop}.bol.com/a"}
		also := func(path string, value any) fields {
			both := maps.Clone(host)
			both[path] = value
			return both
		}
		rules[endpoint+" must not have a pattern"] = rule{set: host, wants: refused}
		rules[endpoint+" may have a pattern without an application"] = rule{set: also("spec.application", nil)}
		rules[endpoint+" may have an enum"] = rule{set: also("spec.parameters", one(map[string]any{"name": "shop", "enum": []any{"a", "b"}}))}
		rules[endpoint+" may have choices"] = rule{set: also("spec.parameters", one(map[string]any{"name": "shop", "choices": one(map[string]any{"value": "a"})}))}
	}
	checkRules(t, shared, rules)
}

func TestMarketplaceIdentity(t *testing.T) {
	request := func(field string, value any) fields {
		return fields{"spec.identity.request": map[string]any{"url": "https://api.bol.com/me", field: value}}
	}
	rules := map[string]rule{
		"an access token's claim may identify": {set: fields{"spec.identity.accessTokenClaim": "user_name"}},
		"an ID token's claim may identify":     {set: fields{"spec.identity.idTokenClaim": "https://xsale.ai/account"}},
		"two claims must not both identify":    {set: fields{"spec.identity": map[string]any{"accessTokenClaim": "a", "idTokenClaim": "b"}}, wants: "accessTokenClaim and idTokenClaim must not both be set"},
		"one of two claims may be spelt out as not set": {
			set: fields{"spec.identity": map[string]any{"accessTokenClaim": "a", "idTokenClaim": ""}},
		},
		"an access token's prefix may identify":         {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": "."}}},
		"a prefix may be spelt out as not set":          {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": "", "idTokenClaim": "a"}}},
		"a prefix must not identify beside a claim":     {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": ".", "accessTokenClaim": "a"}}, wants: "accessTokenPrefixEnd must not be set beside a claim"},
		"a prefix must not identify beside an ID token": {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": ".", "idTokenClaim": "a"}}, wants: "accessTokenPrefixEnd must not be set beside a claim"},
		"a prefix must end with one sign":               {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": ".."}}, wants: "may not be more than 1"},
		"a prefix must not end with a digit":            {set: fields{"spec.identity": map[string]any{"accessTokenPrefixEnd": "1"}}, wants: "spec.identity.accessTokenPrefixEnd in body should match"},
		"a request must have a URL":                     {set: fields{"spec.identity.request": map[string]any{}}, wants: "spec.identity.request.url: Required value"},
		"a request's URL must not be empty":             {set: request("url", ""), wants: "should be at least 1 chars long"},
		"a request may have headers":                    {set: request("headers", one(map[string]any{"name": "x-amz-access-token", "value": "{accessToken}"}))},
		"a request must not bring its own cookie":       {set: request("headers", one(map[string]any{"name": "Cookie", "value": "a"})), wants: "must not be Authorization"},
		"a request's headers must be bounded":           {set: request("headers", named(17, "name", map[string]any{"value": "b"})), wants: "must have at most 16 items"},
	}
	for _, claim := range []string{"accessTokenClaim", "idTokenClaim"} {
		path := "spec.identity." + claim
		rules[claim+" must be bounded"] = rule{set: fields{path: strings.Repeat("a", 257)}, wants: "may not be more than 256"}
		rules[claim+" must be one line"] = rule{set: fields{path: "a\nb"}, wants: path + " in body should match"}
	}
	for _, path := range []string{"idPath", "loginPath"} {
		rules[path+" may be a JSONPath"] = rule{set: request(path, "{.data[0].id}")}
		rules[path+" may be spelt out as not set"] = rule{set: request(path, "")}
		rules[path+" must have braces"] = rule{set: request(path, ".id"), wants: "spec.identity.request." + path + " in body should match"}
		rules[path+" must be bounded"] = rule{set: request(path, "{."+strings.Repeat("a", 254)+"}"), wants: "may not be more than 256"}
	}
	checkRules(t, marketplace(t), rules)
}
